"""Cipher suites by the names that the Collector's configuration has (those of the IANA), as the TLS library knows them.

The law: a suite is used or refused by name; the library itself leaves out what it does not know without a word.
"""

import re
import ssl
from collections.abc import Sequence
from typing import Final

from whence.errors import ConfigError

_IANA: Final = re.compile(r"TLS_(?:(ECDHE|DHE|RSA)_?(RSA|ECDSA)?)_WITH_(.+)")


def openssl_ciphers(suites: Sequence[str]) -> str:
    """What `set_ciphers` takes. OpenSSL's own names are taken too. Raises ConfigError."""
    return ":".join(map(_known, suites))


def _known(suite: str) -> str:
    if suite.startswith("TLS_") and "_WITH_" not in suite:
        raise ConfigError(f"cannot choose the cipher suite {suite}: those of TLS 1.3 are all used; leave it out")
    name = _openssl_name(suite)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(name)
    except (ssl.SSLError, ValueError):
        known = "such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        raise ConfigError(f"cannot use the cipher suite {suite}: the TLS library has none; name one {known}") from None
    return name


def _openssl_name(suite: str) -> str:
    found = _IANA.fullmatch(suite)
    if found is None:
        return suite
    exchange, signed, cipher = found.groups()
    cipher = cipher.replace("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305").replace("_CBC", "")
    cipher = re.sub(r"AES_(\d+)", r"AES\1", cipher).replace("_", "-")
    key = [part for part in (exchange, signed) if part and not (exchange == "RSA" and part == "RSA")]
    return "-".join([*key, cipher])
