"""Tokens, names and TLS: who is let in, by which name, and where the server refuses to listen."""

import hmac
import os
import ssl
import subprocess
import urllib.request
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from build import an_archive, an_event
from build_serve import ADMIN, TOKENS, Client, a_certificate, a_client, a_server
from whence.collect.config.fit import fit
from whence.errors import ConfigError
from whence.serve.access import tokens as module
from whence.serve.access.caller import ANYBODY
from whence.serve.access.tokens import Access, Unauthenticated
from whence.serve.read import read_settings
from whence.serve.run import Serving, check_safe, is_local
from whence.serve.settings import AuthSettings, ServeSettings

TOKEN = "a-token-of-24-characters"


def an_access(*tokens: dict[str, Any], **more: Any) -> Access:
    """Of these tokens, at a time of our own."""
    return Access(
        AuthSettings.model_validate({"tokens": list(tokens), **more}), clock=lambda: 1_000_000_000_000_000_000
    )


def test_a_token_is_known_by_itself_or_its_digest() -> None:
    """Until it expires."""
    access = an_access(
        {"name": "plain", "token": TOKEN},
        {"name": "hashed", "sha256": sha256(b"another-token-01234567").hexdigest(), "role": "write"},
        {"name": "lasts", "token": "lasts-until-2001-09-09x", "expires": "2001-09-09T01:46:40.000000001Z"},
        {"name": "ended", "token": "ended-at-2001-09-09-xxx", "expires": "2001-09-09T01:46:40Z"},
    )
    assert access.caller_of(TOKEN).name == "plain"
    assert access.caller_of("another-token-01234567").role == "write"
    assert access.caller_of("lasts-until-2001-09-09x").name == "lasts"
    with pytest.raises(Unauthenticated, match="has expired"):
        access.caller_of("ended-at-2001-09-09-xxx")
    for wrong in (None, "", TOKEN + " ", TOKEN.upper(), "\udcff", "ü" * 30):
        with pytest.raises(Unauthenticated):
            access.caller_of(wrong)


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By digest, each of them, whether an earlier one fits or not: time tells neither how much fits nor which one."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Seen:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(module, "hmac", Seen)
    access = an_access(*TOKENS)
    assert access.caller_of(ADMIN).name == "ada"
    assert len(compared) == len(TOKENS)
    assert all(len(one) == len(other) == 32 for one, other in compared)


def test_without_tokens_everybody_is_anybody() -> None:
    """Who administers, on this machine."""
    assert an_access().caller_of(None) == ANYBODY


def test_a_file_of_tokens_is_read_again_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    """A token that is taken out ends; a file that cannot be used leaves the last good one, and says why."""
    file, now = tmp_path / "tokens.yaml", [0.0]
    file.write_text(f"- {{name: one, token: {TOKEN}}}\n")
    access = Access(AuthSettings(file=str(file)), monotonic=lambda: now[0])
    assert access.caller_of(TOKEN).name == "one"
    for wrong in (
        "- {name: one",
        "name: one",
        "- {name: one, token: short}",
        "- {name: a, token: ${env:NOT_SET_AT_ALL}}",
    ):
        file.write_text(wrong)
        now[0] += 2
        assert access.caller_of(TOKEN).name == "one"
        assert access.trouble is not None
        assert str(file) in access.trouble
        assert TOKEN not in access.trouble
    file.write_text("- {name: two, token: 01234567890123456789}\n")
    now[0] += 2
    with pytest.raises(Unauthenticated):
        access.caller_of(TOKEN)
    assert access.trouble is None
    assert access.caller_of("01234567890123456789").name == "two"
    with pytest.raises(ConfigError, match="cannot read the tokens"):
        Access(AuthSettings(file=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ({"name": "x"}, "one of token and sha256"),
        ({"name": "x", "token": "short"}, "shorter than 16 characters"),
        ({"name": "x", "token": TOKEN, "sha256": "0" * 64}, "one of token and sha256"),
        ({"name": "x", "sha256": "abc"}, "sha256"),
        ({"name": "x", "token": TOKEN, "role": "root"}, "role"),
        ({"name": "x", "token": TOKEN, "where": "agnt = 1"}, "agnt"),
        ({"name": "x", "token": TOKEN, "where": "time > now-5m"}, "counts from now"),
        ({"name": "x", "token": TOKEN, "where": "CAUSED_BY (type = a)"}, "where"),
        ({"name": "x", "token": TOKEN, "expires": "tomorrow"}, "2026-12-31"),
        ({"name": "x", "token": TOKEN, "expire": "2026-12-31T00:00:00Z"}, "expire"),
    ],
)
def test_a_token_that_cannot_be_meant_is_refused(token: dict[str, Any], said: str) -> None:
    """With the key; never with the token."""
    _, wrong = fit(ServeSettings, {"auth": {"tokens": [token]}})
    text = "; ".join(f"{'.'.join(map(str, keys))}: {what}" for keys, what in wrong)
    assert wrong
    assert said in text
    assert TOKEN not in text


def test_settings_never_show_a_token() -> None:
    """Not even to whoever prints them."""
    settings = read_settings(None, {}, {"WHENCE_TOKEN": TOKEN})
    assert settings.auth.tokens[0].role == "admin"
    assert TOKEN not in repr(settings)
    with pytest.raises(ConfigError) as short:
        read_settings(None, {}, {"WHENCE_TOKEN": "short-secret"})
    assert "short-secret" not in str(short.value)


@pytest.mark.parametrize("endpoint", ["0.0.0.0:0", "[::]:0", ":0"])
def test_it_refuses_to_listen_beyond_this_machine_for_everybody(tmp_path: Path, endpoint: str) -> None:
    """Unless there are tokens, or it is told so by name. Nothing listens where it refuses."""
    settings = ServeSettings(directory=str(tmp_path), endpoint=endpoint)
    assert not is_local(endpoint)
    serving = Serving(settings)
    with pytest.raises(ConfigError, match=r"tokens .*127\.0\.0\.1.*--insecure-no-auth"):
        serving.start()
    assert serving.port == 0
    assert not serving.alive
    for more in ({"insecure_no_auth": True}, {"auth": AuthSettings.model_validate({"tokens": TOKENS})}):
        safe = settings.model_copy(update=more)
        check_safe(safe, Access(safe.auth))


@pytest.mark.parametrize("endpoint", ["127.0.0.1:1", "localhost:1", "127.8.9.10:1", "[::1]:1"])
def test_loopback_needs_no_token(endpoint: str) -> None:
    """Nothing else reaches it."""
    assert is_local(endpoint)


def test_by_its_own_names_it_is_reached_and_by_no_other(tmp_path: Path) -> None:
    """A page whose name is made to lead here (DNS rebinding) names itself in Host."""
    archive = an_archive(tmp_path / "archive", [an_event(id="E1")])
    with a_client(archive, hosts=["whence.internal"]) as client:
        for host in ("localhost", "127.0.0.1", "[::1]", "10.1.2.3", "LOCALHOST.", "a.localhost", "whence.internal"):
            assert client.ask("/api/events", headers={"Host": f"{host}:{client.port}"}).status == 200, host
        for host in (
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "a b",
            "whence.internal@evil",
        ):
            for path in ("/api/events", "/health", "/docs", "/nothing"):
                reply = client.ask(path, headers={"Host": host})
                assert reply.status in (400, 421), host
                assert b"E1" not in reply.body
        assert "`hosts`" in client.ask("/api/events", headers={"Host": "evil.example"}).detail
    with a_client(archive, auth={"tokens": TOKENS}) as client:
        client.token = ADMIN
        assert client.ask("/api/events", headers={"Host": "anything.example"}).status == 200, "a page has no token"
        assert client.ask("/api/events", headers={"Host": "a.example", "Origin": "http://a.example"}).status == 200
        assert client.ask("/api/events", headers={"Origin": "http://evil.example"}).status == 403


def test_a_websocket_of_another_site_is_turned_away(tmp_path: Path) -> None:
    """Browsers let any page open one; its Origin tells. A page of this server's sends its token as a subprotocol."""
    from websockets.exceptions import InvalidStatus

    from build_live import connect

    archive = an_archive(tmp_path / "archive", [an_event(id="E1")])
    with a_client(archive, auth={"tokens": TOKENS}) as client:
        url = f"ws://127.0.0.1:{client.port}/api/stream"
        with connect(url, subprotocols=["whence", f"bearer.{ADMIN}"]) as socket:  # type: ignore[list-item]
            assert socket.subprotocol == "whence"
            assert "connected" in str(socket.recv(timeout=60))
        for origin, token, status in (("http://evil.example", ADMIN, 403), (None, "wrong-token-0123456789", 401)):
            with pytest.raises(InvalidStatus) as refused:
                connect(url, origin=origin, subprotocols=[f"bearer.{token}"])  # type: ignore[arg-type, list-item]
            assert refused.value.response.status_code == status


@pytest.mark.skipif(os.name != "posix", reason="needs openssl")
def test_tls_is_spoken_where_there_is_a_certificate(tmp_path: Path) -> None:
    """And nothing else is; what was not signed by whom the client trusts is refused by the client."""
    cert, key = a_certificate(tmp_path)
    archive = an_archive(tmp_path / "archive", [an_event(id="E1")])
    with a_server(archive, tls={"cert_file": cert, "key_file": key}) as serving:
        assert serving.url.startswith("https://")
        context = ssl.create_default_context(cafile=cert)
        with urllib.request.urlopen(f"{serving.url}/api/events/E1", context=context, timeout=60) as reply:
            assert b'"E1"' in reply.read()
        with pytest.raises((OSError, ValueError)):
            Client(serving.port).ask("/health")
        done = subprocess.run(
            ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--tls-max", "1.1", "--cacert", cert, f"{serving.url}/health"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout == "000"
    with pytest.raises(ConfigError):
        Serving(ServeSettings.model_validate({"directory": str(archive), "tls": {"cert_file": cert}})).start()
