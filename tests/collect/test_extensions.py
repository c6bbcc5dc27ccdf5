"""Extensions: who is let in, what is attached, and where queues are kept."""

import base64
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from build_collect import LOGS_ONLY, problems
from whence.collect.auth import Unauthenticated, client_auth, server_auth
from whence.collect.component import Host
from whence.collect.extensions import basicauth, bearertokenauth, file_storage
from whence.collect.settings import Auth
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError, StorageError


def _host(tmp_path: Path, monotonic: Callable[[], float] = lambda: 0.0, **extensions: Any) -> Host:
    log = logging.getLogger("test")
    return Host("auth", Telemetry(), log, tmp_path / "exporter_auth", extensions, monotonic=monotonic)


def _bearer(
    tmp_path: Path, monotonic: Callable[[], float] = lambda: 0.0, **settings: Any
) -> bearertokenauth.BearerTokens:
    host = _host(tmp_path, monotonic)
    made = bearertokenauth.BearerTokens(bearertokenauth.BearerSettings(**settings), host)
    made.start(host)
    return made


def _basic(tmp_path: Path, **settings: Any) -> basicauth.BasicAuth:
    host = _host(tmp_path)
    made = basicauth.BasicAuth(basicauth.BasicSettings.model_validate(settings), host)
    made.start(host)
    return made


@pytest.mark.parametrize(
    "given", [{}, {"authorization": "Bearer b"}, {"authorization": "a"}, {"authorization": "Basic a"}, {"x": "a"}]
)
def test_a_wrong_or_missing_token_is_refused(tmp_path: Path, given: dict[str, str]) -> None:
    """With the challenge for WWW-Authenticate, and without a word of what was presented."""
    with pytest.raises(Unauthenticated) as refused:
        _bearer(tmp_path, token="a").authenticate(given)
    assert refused.value.challenge == "Bearer"
    assert "b" not in str(refused.value).split()


def test_any_of_several_tokens_is_let_in(tmp_path: Path) -> None:
    """And the scheme's case does not matter; one's own header, and no scheme, are possible."""
    several = _bearer(tmp_path, tokens=["one", "two"])
    several.authenticate({"authorization": "Bearer two"})
    several.authenticate({"authorization": "bearer one"})
    own = _bearer(tmp_path, token="key", scheme="", header="X-Api-Key")
    own.authenticate({"x-api-key": "key"})
    assert own.headers() == {"x-api-key": "key"}


def test_a_token_that_is_rotated_in_its_file_works_without_a_restart(tmp_path: Path) -> None:
    """A second later; while the file cannot be read the last tokens go on working, and health says so."""
    now = [0.0]
    file = tmp_path / "token"
    file.write_text("old\n")
    auth = _bearer(tmp_path, lambda: now[0], filename=str(file))
    assert auth.headers() == {"authorization": "Bearer old"}
    file.write_text("new\n")
    os.utime(file, (1, 1))
    now[0] += 2
    auth.authenticate({"authorization": "Bearer new"})
    file.unlink()
    now[0] += 2
    auth.authenticate({"authorization": "Bearer new"})
    assert "cannot read" in (auth.health().reason or "")


def test_an_empty_or_missing_token_is_refused_at_the_start(tmp_path: Path) -> None:
    """An empty token would let everybody in."""
    for settings in ({"token": ""}, {"filename": str(tmp_path / "none")}, {"tokens": ["a", ""]}):
        with pytest.raises((ConfigError, ValueError)):
            _bearer(tmp_path, **settings)
    text = "extensions: {bearertokenauth: {token: a, filename: b}}\nservice::extensions: [bearertokenauth]"
    assert problems(LOGS_ONLY, text) == ["1: extensions::bearertokenauth: expected one of token, tokens and filename"]


def _pair(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_passwords_are_checked_against_htpasswd(tmp_path: Path) -> None:
    """bcrypt, SHA and plain, from a file and inline; wrong and unknown are refused alike; who was right is known from then on."""
    hashed = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    sha = base64.b64encode(hashlib.sha1(b"word").digest()).decode()
    (tmp_path / "htpasswd").write_text(f"# people\nann:{hashed}\nbob:{{SHA}}{sha}\n")
    auth = _basic(tmp_path, htpasswd={"file": str(tmp_path / "htpasswd"), "inline": "eve:plain"})
    for name, password in (("ann", "s3cret"), ("bob", "word"), ("eve", "plain"), ("ann", "s3cret")):
        auth.authenticate(_pair(name, password))
        assert auth.knows(_pair(name, password))
    for wrong in (
        _pair("ann", "word"),
        _pair("nobody", "s3cret"),
        {"authorization": "Basic !!"},
        {},
        {"authorization": "Bearer x"},
    ):
        with pytest.raises(Unauthenticated) as refused:
            auth.authenticate(wrong)
        assert refused.value.challenge == 'Basic realm="whence"'
        assert not auth.knows(wrong)


def test_hashes_that_cannot_be_checked_are_named(tmp_path: Path) -> None:
    """An entry of an old kind is a fault at the start, not a login that never works."""
    with pytest.raises(ConfigError, match="line 1 of htpasswd"):
        _basic(tmp_path, htpasswd={"inline": "ann:$apr1$x$y"})


def test_a_sender_attaches_name_and_password(tmp_path: Path) -> None:
    """What one end attaches, the other lets in."""
    headers = _basic(tmp_path, client_auth={"username": "ann", "password": "a:b"}).headers()
    _basic(tmp_path, htpasswd={"inline": "ann:a:b"}).authenticate(headers)


def test_components_find_their_authenticator_by_id(tmp_path: Path) -> None:
    """One that is not there, or cannot do it, is named."""
    bearer = _bearer(tmp_path, token="a")
    host = _host(tmp_path, bearer=bearer, storage=object())
    assert server_auth(host, Auth(authenticator="bearer")) is bearer
    assert client_auth(host, None) is None
    with pytest.raises(ConfigError, match="not started"):
        server_auth(host, Auth(authenticator="other"))
    with pytest.raises(ConfigError, match="has no authenticate"):
        server_auth(host, Auth(authenticator="storage"))


def test_storage_is_a_folder_for_each_component(tmp_path: Path) -> None:
    """With `storage` in the extension's directory, without in the state folder; a directory that may not be made is named."""
    settings = file_storage.FileStorageSettings(directory=str(tmp_path / "queues"))
    storage = file_storage.FileStorage(settings, _host(tmp_path))
    storage.start(_host(tmp_path))
    host = _host(tmp_path, file_storage=storage)
    assert host.folder("file_storage") == tmp_path / "queues" / "exporter_auth"
    assert host.folder("file_storage").is_dir()
    assert host.folder(None) == tmp_path / "exporter_auth"
    assert storage.health().ok
    strict = file_storage.FileStorageSettings(directory=str(tmp_path / "no"), create_directory=False)
    with pytest.raises(StorageError, match="not there"):
        file_storage.FileStorage(strict, host).start(host)
