"""The gate before every door: which Host and Origin may ask, who the caller is, and what CORS lets pages of others read.

The law: pure but for telemetry. A page that somebody else's name leads to (DNS rebinding) is turned away by its Host, one of
another origin by its Origin; nothing behind the gate is asked before its caller is known.
"""

import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whence.collect.answers import address_of
from whence.collect.settings import Cors
from whence.collect.telemetry import Telemetry
from whence.serve.access.tokens import Access, Unauthenticated
from whence.serve.problems import problem
from whence.serve.settings import Role, ServeSettings

OPEN: Final = frozenset({"/health", "/docs", "/openapi.json"})
"""Paths that say nothing of any event and need no token."""
CALLER: Final = "whence_caller"
"""Where the caller stands in a request's scope."""
PROTOCOL: Final = "whence"
"""The WebSocket subprotocol; beside it, `bearer.TOKEN` carries the token of a page, which can send no header."""
_BEARER: Final = "bearer."
_READING: Final = frozenset({"GET", "HEAD"})
_CHANGES_NOTHING: Final = frozenset({("POST", "/api/transform")})
"""What a caller may do who may only read, although its method says that it changes something."""
_LONG: Final = "text/event-stream"


class Gate:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, access: Access, telemetry: Telemetry) -> None:
        self._app, self._access, self._telemetry = app, access, telemetry
        self._hosts = Hosts(settings)
        self._origins = Origins(settings.cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        seen = _Seen(self._origins.answer(headers), send)
        try:
            refusal = self._refusal(scope, headers)
            if refusal is None:
                await self._app(scope, receive, seen.send)
            else:
                await _refuse(refusal, scope, receive, seen.send)
        except Exception:
            seen.status = seen.status or 500
            raise
        finally:
            self._count(scope, seen, time.perf_counter() - began)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why a request goes no further; for one that may, the caller is put into its scope."""
        path = str(scope["path"])
        host = headers.get("host", "")
        if not self._hosts.knows(host):
            said = f"cannot answer for the host {host[:100]!r}: if that is this server, add it to `hosts`"
            return problem(421, said, path)
        if not self._origins.may_ask(headers, scope.get("method", "GET")):
            origin = headers.get("origin") or "another site"
            said = f"cannot answer a page of {origin[:100]}: if it may ask, add it to `cors.allowed_origins`"
            return problem(403, said, path)
        method = scope.get("method", "GET")
        if method == "OPTIONS" and "access-control-request-method" in headers:
            return self._origins.preflight(headers)
        if path in OPEN:
            return None
        try:
            caller = self._access.caller_of(token_of(headers))
        except Unauthenticated as cause:
            return problem(401, f"cannot answer: {cause}", path, {"WWW-Authenticate": 'Bearer realm="whence"'})
        reads = scope["type"] == "websocket" or method in _READING or (method, path) in _CHANGES_NOTHING
        wanted: Role = "read" if reads else "write"
        if not caller.may(wanted):
            said = f"cannot {method} {path} as {caller.name!r}, who has the role {caller.role}: that takes {wanted}"
            return problem(403, said, path)
        scope[CALLER] = caller
        return None

    def _count(self, scope: Scope, seen: "_Seen", seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope.get("method", "WEBSOCKET")
        self._telemetry.count("whence_serve_requests", method=method, route=route, status=str(seen.status))
        if not seen.long and scope["type"] == "http":
            self._telemetry.observe("whence_serve_request_duration", seconds, route=route)


class _Seen:
    """An answer on its way out, with the headers that all answers have."""

    def __init__(self, more: dict[str, str], send: Send) -> None:
        self._more, self._send = more, send
        self.status = 0
        self.long = False

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            self.long = headers.get("content-type", "").startswith(_LONG)
            headers["X-Content-Type-Options"] = "nosniff"
            for name, value in self._more.items():
                if name == "Vary":
                    headers.add_vary_header(value)
                else:
                    headers[name] = value
        elif message["type"] == "websocket.accept":
            self.status = 101
        await self._send(message)


async def _refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Give an answer in place of the application's; to a WebSocket that cannot have one, a plain no."""
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await answer(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": HTTPStatus(answer.status_code).phrase})


def token_of(headers: Headers) -> str | None:
    """The token of a request: its Authorization, or of a WebSocket of a page one of its subprotocols."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    return next((one.removeprefix(_BEARER) for one in offered if one.startswith(_BEARER)), None)


# --- hosts ------------------------------------------------------------------------------------------------------------------


class Hosts:
    """The names by which the server may be asked: addresses, which no name leads astray, this machine's, and those given."""

    def __init__(self, settings: ServeSettings) -> None:
        own = address_of(settings.endpoint)[0]
        self._any = "*" in settings.hosts or (not settings.hosts and has_tokens(settings))
        self._known = {name.lower() for name in (*settings.hosts, own, "localhost", socket.gethostname()) if name}

    def knows(self, host: str) -> bool:
        """Whether a `Host` header names this server."""
        if self._any:
            return True
        name = name_of(host)
        return name is not None and (name in self._known or name.endswith(".localhost") or _is_address(name))


def has_tokens(settings: ServeSettings) -> bool:
    """Whether callers have to say who they are. Then no page gains by a name that leads here: it has no token to send."""
    return bool(settings.auth.tokens) or settings.auth.file is not None


_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.%a-z]+\]|[^\[\]:/@\s]+)(?::\d{1,5})?")


def name_of(host: str) -> str | None:
    """The name in `name:port`, in lower case and without a dot at its end; None of what is no host."""
    match = _HOST.fullmatch(host)
    return match.group(1).strip("[]").lower().removesuffix(".") if match else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


# --- origins ----------------------------------------------------------------------------------------------------------------


class Origins:
    """Pages of which origins may ask, and what CORS tells their browsers."""

    def __init__(self, cors: Cors) -> None:
        self._cors = cors
        self._all = "*" in cors.allowed_origins
        patterns = "|".join(_pattern(one) for one in cors.allowed_origins)
        self._allowed = re.compile(patterns or r"(?!)", re.IGNORECASE)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may ask."""
        return self._all or self._allowed.fullmatch(origin) is not None

    def may_ask(self, headers: Headers, method: str) -> bool:
        """Whether a request comes from no page, from one of this server's own, or from one of an allowed origin.

        A browser that follows a link somebody clicked sends no Origin and says that it navigates.
        """
        origin = headers.get("origin")
        if origin is not None:
            return self.allows(origin) or origin.partition("://")[2].lower() == headers.get("host", "").lower() != ""
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "navigate")
        return site in ("none", "same-origin") or self._all or (mode == "navigate" and method in _READING)

    def answer(self, headers: Headers) -> dict[str, str]:
        """The CORS headers of an answer to a page of another origin."""
        origin = headers.get("origin")
        if origin is None or not self._cors.allowed_origins:
            return {}
        if not self.allows(origin):
            return {"Vary": "Origin"}
        found = {"Access-Control-Allow-Origin": "*" if self._all else origin, "Vary": "Origin"}
        exposed: Iterable[str] = ("ETag", "Link", "Retry-After", *self._cors.exposed_headers)
        return found | {"Access-Control-Expose-Headers": ", ".join(dict.fromkeys(exposed))}

    def preflight(self, headers: Headers) -> Response:
        """What a browser asks before it asks."""
        allowed: Iterable[str] = ("Authorization", "Content-Type", "Last-Event-ID", "If-None-Match")
        found = {
            "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
            "Access-Control-Allow-Headers": ", ".join(dict.fromkeys((*allowed, *self._cors.allowed_headers))),
            **({"Access-Control-Max-Age": str(self._cors.max_age)} if self._cors.max_age else {}),
        }
        return Response(None, 204, found if self._cors.allowed_origins else {})


def _pattern(origin: str) -> str:
    """An origin in which `*` stands for any run of characters that names have."""
    return ".*" if origin == "*" else "[^/]*".join(map(re.escape, origin.rstrip("/").split("*")))
