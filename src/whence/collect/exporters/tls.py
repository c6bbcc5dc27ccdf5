"""TLS of the sending end, for HTTP and gRPC, by the Collector's keys; certificates are read again while it runs."""

import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import grpc

from whence.collect.ciphers import openssl_ciphers
from whence.collect.component import Host
from whence.collect.receivers.listening import pem
from whence.collect.settings import TLSClient
from whence.errors import ConfigError

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
T = TypeVar("T")


def refuse_over_http(tls: TLSClient) -> None:
    """Without a look at any file. Raises ConfigError for what cannot be followed."""
    openssl_ciphers(tls.cipher_suites)
    if tls.max_version and tls.max_version < tls.min_version:
        raise ConfigError(f"cannot use TLS from {tls.min_version} to {tls.max_version}: raise max_version")


def refuse_over_grpc(tls: TLSClient) -> None:
    """Without a look at any file. Raises ConfigError for what the library cannot do."""
    if tls.insecure_skip_verify:
        raise ConfigError("cannot skip the verification of a certificate over gRPC: give ca_file, or set tls.insecure")
    if tls.min_version != "1.2" or tls.max_version or tls.cipher_suites:
        raise ConfigError(
            "cannot choose min_version, max_version or cipher_suites over gRPC: "
            "its library takes TLS 1.2 and 1.3; leave them out, or send by otlp_http"
        )


def client_context(tls: TLSClient) -> ssl.SSLContext:
    """For HTTP. Raises ConfigError."""
    authority, certificate, key = _pieces(tls)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[tls.min_version]
    if tls.max_version:
        context.maximum_version = _VERSIONS[tls.max_version]
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if authority is None or tls.include_system_ca_certs_pool:
            context.load_default_certs()
        if authority is not None:
            context.load_verify_locations(cadata=authority.decode("ascii"))
        if certificate and key:
            _load(context, certificate, key)
        if tls.cipher_suites:
            context.set_ciphers(openssl_ciphers(tls.cipher_suites))
    except (OSError, ValueError) as cause:
        raise ConfigError(f"cannot use the TLS settings: {cause}") from None
    return context


def channel_credentials(tls: TLSClient) -> grpc.ChannelCredentials:
    """For gRPC. Raises ConfigError."""
    authority, certificate, key = _pieces(tls)
    context = client_context(tls)  # the library itself says nothing of a key that does not fit
    if authority is not None and tls.include_system_ca_certs_pool:
        known = context.get_ca_certs(binary_form=True)
        authority = b"\n".join([authority, *(ssl.DER_cert_to_PEM_cert(one).encode() for one in known)])
    return grpc.ssl_channel_credentials(authority, key, certificate)


class Watched:
    """The files that TLS settings name, looked at every `reload_interval`. The caller must see to it that one asks at a time."""

    def __init__(self, tls: TLSClient, host: Host) -> None:
        self._every = tls.reload_interval
        self._files = [Path(name) for name in (tls.ca_file, tls.cert_file, tls.key_file) if name]
        self._host = host
        self._looked = host.monotonic()
        self._seen = self._now()

    def renewed(self, current: T, make: Callable[[], T]) -> T:
        """What there is, or, where the files have changed, what is made of them now; where it cannot be made, what there is."""
        now = self._host.monotonic()
        if not self._every or now - self._looked < self._every:
            return current
        self._looked = now
        found = self._now()
        if found == self._seen:
            return current
        try:
            made = make()
        except ConfigError as fault:  # half of them may be written: the next look shows
            self._host.log.error("%s goes on with the certificates it has: %s", self._host.id, fault)
            return current
        self._seen = found
        return made

    def _now(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What tells one state of a file from another."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _pieces(tls: TLSClient) -> tuple[bytes | None, bytes | None, bytes | None]:
    """The authority's certificate, ours, and our key."""
    authority = pem(tls.ca_pem.get_secret_value() if tls.ca_pem else None, tls.ca_file, "certificate of the authority")
    certificate = pem(tls.cert_pem.get_secret_value() if tls.cert_pem else None, tls.cert_file, "certificate")
    key = pem(tls.key_pem.get_secret_value() if tls.key_pem else None, tls.key_file, "key")
    if (certificate is None) != (key is None):
        raise ConfigError("cannot show a certificate: give both cert_file and key_file")
    return authority, certificate, key


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:  # the library reads files only
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
