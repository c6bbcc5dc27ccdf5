"""Builders: an archive served on a free port on threads of this process, and a plain client for it."""

import http.client
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from whence.serve.run import Serving
from whence.serve.settings import ServeSettings

ADMIN, WRITER, READER = "admin-token-0123456789", "write-token-0123456789", "read-token-0123456789"
TOKENS: list[dict[str, Any]] = [
    {"name": "ada", "token": ADMIN, "role": "admin"},
    {"name": "wim", "token": WRITER, "role": "write"},
    {"name": "rita", "token": READER, "role": "read"},
]
"""One of each role."""


@dataclass(frozen=True)
class Reply:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The one JSON value."""
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """What a problem says."""
        assert self.headers["content-type"] == "application/problem+json", self
        found = self.json
        assert found["status"] == self.status
        assert {"type", "title", "status", "detail", "instance"} <= set(found)
        return str(found["detail"])


@dataclass
class Client:
    """Asks one server; `token` is sent with each request."""

    port: int
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        **query: Any,
    ) -> Reply:
        """One request on a connection of its own. A list in `query` is given several times; a `body` is sent as JSON."""
        text = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        sent = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **self.headers, **(headers or {})}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method, quote(path, safe="/%:#~") + (f"?{text}" if text else ""), body=data, headers=sent
            )
            reply = connection.getresponse()
            return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer that must be 200."""
        reply = self.ask(path, **query)
        assert reply.status == 200, (path, query, reply)
        return reply.json


@contextmanager
def a_server(directory: Path, **settings: Any) -> Iterator[Serving]:
    """A server of this archive on a free port; `settings` as in YAML."""
    settings.setdefault("jaeger", {"enabled": False})
    found = ServeSettings.model_validate({"directory": str(directory), "endpoint": "127.0.0.1:0", **settings})
    serving = Serving(found)
    serving.start()
    try:
        yield serving
    finally:
        serving.stop(5.0)


@contextmanager
def a_client(directory: Path, **settings: Any) -> Iterator[Client]:
    """A client of such a server, without a token."""
    with a_server(directory, **settings) as serving:
        yield Client(serving.port)


def a_certificate(directory: Path) -> tuple[str, str]:
    """A certificate for localhost and its key, made now: their files."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return str(cert), str(key)
