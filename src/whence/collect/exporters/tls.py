"""TLS of the sending end, for HTTP and gRPC, by the Collector's keys."""

import ssl
import tempfile
from typing import Final

import grpc

from whence.collect.receivers.listening import pem
from whence.collect.settings import TLSClient
from whence.errors import ConfigError

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


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
            context.set_ciphers(":".join(tls.cipher_suites))
    except (OSError, ValueError) as cause:
        raise ConfigError(f"cannot use the TLS settings: {cause}") from None
    return context


def channel_credentials(tls: TLSClient) -> grpc.ChannelCredentials:
    """For gRPC. Raises ConfigError for what the library cannot do."""
    if tls.insecure_skip_verify:
        raise ConfigError("cannot skip the verification of a certificate over gRPC: give ca_file, or set tls.insecure")
    authority, certificate, key = _pieces(tls)
    return grpc.ssl_channel_credentials(authority, key, certificate)


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
