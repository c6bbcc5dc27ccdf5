"""The sending end of HTTP: connections, headers, packing a body, reading an answer; what all exporters that post share."""

import time
import zlib
from typing import Any, Final
from urllib.parse import unquote

import urllib3
import zstandard
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from whence.collect.exporters.tls import client_context
from whence.collect.settings import MIB, HTTPClient, TLSClient
from whence.version import VERSION

_MOST: Final = 4 * MIB
"""Bytes of an answer that are read."""
_PIECE: Final = 65_536
_ENCODINGS: Final = {"zlib": "deflate"}
"""HTTP's name, where it is another one."""


def is_url(text: str) -> bool:
    """Whether it is one that can be sent to."""
    try:
        url = urllib3.util.parse_url(text)
    except HTTPError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def headers_of(settings: HTTPClient, kind: str) -> dict[str, str]:
    """What goes with each request whose body is of this content type, names in lower case."""
    found = {
        "content-type": kind,
        "user-agent": f"whence/{VERSION}",
        **{name.lower(): value.get_secret_value() for name, value in settings.headers.items()},
    }
    if settings.compression not in ("", "none"):
        found["content-encoding"] = _ENCODINGS.get(settings.compression, settings.compression)
    if settings.disable_keep_alives:
        found["connection"] = "close"
    return found


def pool_of(settings: HTTPClient, connections: int, proxy: str | None = None) -> urllib3.PoolManager:
    """Connections, so many at the same time, made when they are needed. Raises ConfigError for TLS settings that cannot work.

    `Connections` gives these by URL: through the proxy that is to be used, and new ones where they were idle for too long.
    """
    tls = settings.tls or TLSClient()
    kept = [most for most in (settings.max_idle_conns, settings.max_idle_conns_per_host) if most]
    options: dict[str, Any] = {
        "maxsize": settings.max_conns_per_host or min([connections, *kept]),
        "block": bool(settings.max_conns_per_host),
        "ssl_context": client_context(tls),
    }
    if tls.server_name_override:
        options |= {"server_hostname": tls.server_name_override, "assert_hostname": tls.server_name_override}
    if tls.insecure_skip_verify:
        options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
        urllib3.disable_warnings(InsecureRequestWarning)  # it was asked for, and would be said with each request
    if proxy is None:
        return urllib3.PoolManager(**options)
    auth = urllib3.util.parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)


def compressed(data: bytes, compression: str, level: int | None) -> bytes:
    """The body as its content-encoding says."""
    if compression in ("", "none"):
        return data
    if compression == "zstd":
        return zstandard.ZstdCompressor(3 if level is None else level).compress(data)
    # Where nobody says how hard: level 1 takes less than half the time of zlib's own choice, for a tenth more bytes.
    packer = zlib.compressobj(1 if level is None else level, wbits=31 if compression == "gzip" else 15)
    return packer.compress(data) + packer.flush()


def read_answer(answer: urllib3.BaseHTTPResponse, timeout: float) -> bytes:
    """The body, up to a bound in bytes and time; a connection with more to come is not used again."""
    until, body = time.monotonic() + timeout, b""
    while len(body) < _MOST and time.monotonic() < until:
        piece = answer.read(_PIECE, decode_content=True)
        if not piece:
            answer.release_conn()
            return body
        body += piece
    answer.close()
    return body


def said_of(trouble: Exception) -> str:
    """The innermost cause, without addresses of objects."""
    inner = getattr(trouble, "reason", None) or trouble.__cause__ or trouble
    return getattr(inner, "strerror", None) or str(inner).rpartition(">: ")[2] or type(inner).__name__
