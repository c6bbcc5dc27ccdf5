"""Sockets and TLS for listeners: addresses as the Collector writes them, certificates that may change while running."""

import math
import socket
import ssl
import stat
import tempfile
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from whence.collect.answers import address_of
from whence.collect.ciphers import openssl_ciphers
from whence.collect.component import Host
from whence.collect.settings import TLSServer
from whence.errors import ConfigError, StorageError

try:
    import resource
except ImportError:  # where the system has none
    resource = None  # type: ignore[assignment]

_BACKLOG: Final = 1024
_FILES: Final = 256
"""Files that must stay possible to open, whoever connects: the archive's and the log's among them."""
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine can reach an endpoint."""
    host = address_of(endpoint)[0]
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def warn_if_reachable(host: Host, endpoint: str, transport: str) -> None:
    """For what listens with neither TLS nor authentication: say so where not only this machine can reach it."""
    if transport == "tcp" and not is_loopback(endpoint):
        host.log.warning(
            "%s listens at %s, where other machines can reach it, with neither TLS nor authentication",
            host.id,
            endpoint,
        )


def most_connections(asked: int) -> int:
    """As many as are asked for, or as many as there may be open files, some left over."""
    if resource is None:
        return asked
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    # HTTP lets in twice as many as it serves, for the others must hear why not; gRPC beside it has as many as HTTP serves.
    return asked if files == resource.RLIM_INFINITY else max(1, min(asked, (files - _FILES) // 3))


def listen(endpoint: str, transport: str, what: str, *, shared: bool = False) -> list[socket.socket]:
    """Sockets that listen: one for each address that the host stands for, at the same port.

    `shared`: other processes listen at the same port. Raises ConfigError, and StorageError where the port cannot be had.
    """
    try:
        if transport == "unix":
            return [_unix(endpoint)]
        host, port = address_of(endpoint)
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        sockets: list[socket.socket] = []
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            chosen = sockets[0].getsockname()[1] if sockets and not port else port
            with suppress(OSError) if sockets else _nothing():
                sockets.append(_tcp(family, str(address[0]), chosen, shared))
        return sockets
    except OSError as cause:
        raise StorageError(
            f"cannot listen at {endpoint} for {what}: {cause.strerror or cause}; choose another endpoint"
        ) from None


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _tcp(family: int, host: str, port: int, shared: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, port))
        one.listen(_BACKLOG)
    except OSError:
        one.close()
        raise
    return one


def _unix(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            Path(path).unlink()  # of a former process: who listens has it open, not the name
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        one.bind(path)
        one.listen(_BACKLOG)
    except OSError:
        one.close()
        raise
    return one


def pem(text: str | None, file: str | None, what: str) -> bytes | None:
    """A certificate or key, given in the settings or in a file. Raises ConfigError."""
    if text is not None:
        return text.encode()
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as cause:
        raise ConfigError(f"cannot read the {what} {file}: {cause.strerror or cause}") from None


def server_context(tls: TLSServer) -> ssl.SSLContext:
    """TLS for a listener; with `client_ca_file` clients must show a certificate of that authority. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    if tls.max_version:
        context.maximum_version = _VERSIONS[tls.max_version]
    load_certificate(context, tls)
    try:
        if tls.cipher_suites:
            context.set_ciphers(openssl_ciphers(tls.cipher_suites))
        if tls.client_ca_file:
            context.load_verify_locations(tls.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as cause:
        raise ConfigError(f"cannot use the TLS settings: {cause}") from None
    return context


def load_certificate(context: ssl.SSLContext, tls: TLSServer) -> None:
    """Put the listener's certificate, as it is now, into a context; connections that are open keep theirs. Raises ConfigError."""
    certificate = pem(tls.cert_pem.get_secret_value() if tls.cert_pem else None, tls.cert_file, "certificate")
    key = pem(tls.key_pem.get_secret_value() if tls.key_pem else None, tls.key_file, "key")
    if certificate is None or key is None:
        raise ConfigError("cannot listen with TLS: give cert_file and key_file, or cert_pem and key_pem")
    try:
        with tempfile.NamedTemporaryFile() as file:  # the library reads files only
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    except (OSError, ssl.SSLError) as cause:
        raise ConfigError(f"cannot use the certificate {tls.cert_file or 'cert_pem'}: {cause}") from None


class Certificates:
    """A listener's TLS, made anew where it is time to: by `reload_interval`, or when `client_ca_file` changed."""

    def __init__(self, tls: TLSServer, host: Host) -> None:
        """Raises ConfigError."""
        self._tls = tls
        self._host = host
        self._seen = self._now()
        self._made = host.monotonic()
        self.context = self._current = server_context(tls)
        """What to listen with."""
        if tls.reload_interval or tls.client_ca_file_reload:
            self.context.sni_callback = self._renew

    def _now(self) -> tuple[int, int, int] | None:
        """What tells one state of the authority's file from another."""
        if not (self._tls.client_ca_file_reload and self._tls.client_ca_file):
            return None
        try:
            found = Path(self._tls.client_ca_file).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _renew(self, connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        """At each handshake."""
        now, seen = self._host.monotonic(), self._now()
        if now - self._made >= (self._tls.reload_interval or math.inf) or seen != self._seen:
            self._made, self._seen = now, seen
            try:
                self._current = server_context(self._tls)
            except ConfigError as fault:
                self._host.log.error("%s goes on with the certificates it has: %s", self._host.id, fault)
        if self._current is not first:
            connection.context = self._current
