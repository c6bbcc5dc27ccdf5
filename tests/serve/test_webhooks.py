"""Webhooks of the server against a real server that refuses, hangs, goes away and comes back: every event arrives, in order."""

import base64
import hashlib
import hmac
import signal
import socket
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from build import an_archive, an_event
from build_backend import FAST, Backend, Say
from build_exporters import a_host
from build_live import TURNING, a_writer, forget, write
from build_serve import Client, a_server
from build_serve_process import FREE, a_process
from waiting import until
from whence.serve.extension import ServeExtension
from whence.serve.settings import ServeSettings

SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes, no more...").decode()


def a_hook(backend: Backend, **settings: Any) -> dict[str, Any]:
    """The settings of one webhook that posts to it."""
    return {"hook": {"endpoint": backend.http + "/hook", "retry_on_failure": FAST, **settings}}


def events_of(backend: Backend) -> list[dict[str, Any]]:
    """The events it took, in order."""
    found = [orjson.loads(body) for _, body in backend.kept]
    return [event for body in found for event in body.get("events", [body])]


def ids_of(backend: Backend) -> list[str]:
    """Their ids."""
    return [event["id"] for event in events_of(backend)]


def counted(port: int, what: str) -> float:
    """A counter of the webhook's, in the server's metrics."""
    name = f'otelcol_exporter_{what}_log_records{{exporter="webhooks/hook"}} '
    lines = Client(port).ask("/metrics").body.decode().splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def health(port: int) -> Any:
    """What `/health` says of the webhook."""
    return Client(port).get("/health")["works"]["webhooks/hook"]


def names(first: int, last: int) -> list[str]:
    """Ids of events."""
    return [f"E{n}" for n in range(first, last)]


def test_matching_events_are_posted_as_they_come_signed_and_in_order(tmp_path: Path, backend: Backend) -> None:
    """What was there before is not posted; a receiver that computes the signature itself finds it."""
    archive = an_archive(tmp_path / "archive", [an_event("task.failed", id="old")])
    hook = a_hook(backend, filter="type = 'task.failed'", secret=SECRET, headers={"X-Token": "t"})
    with a_server(archive, webhooks=hook) as serving:
        for n in range(3):
            an_archive(archive, [an_event("task.failed", id=f"E{n}"), an_event("task.done", id=f"D{n}")])
        backend.wait(lambda: len(events_of(backend)) == 3)
        until(lambda: counted(serving.port, "sent") == 3)
        assert health(serving.port) == "ok"
    assert ids_of(backend) == ["E0", "E1", "E2"]
    assert events_of(backend)[0]["type"] == "task.failed"
    for (path, headers), (_, body) in zip(backend.seen, backend.kept, strict=True):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(b"a secret of 32 bytes, no more...", signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert (path, headers["x-token"]) == ("/hook", "t")


def test_what_came_while_the_receiver_refused_arrives_when_it_takes_it(tmp_path: Path, backend: Backend) -> None:
    """More than a buffer holds, across rotation and compression: none is missing, doubled or out of order; health says so."""
    backend.always = Say(503)
    hook = a_hook(backend, max_events=20)
    with (
        a_server(tmp_path, webhooks=hook, stream={"buffer": 10}) as serving,
        a_writer(tmp_path, TURNING) as writer,
    ):
        write(writer, names(0, 1))
        backend.wait(lambda: len(backend.seen) > 2)
        assert health(serving.port) == "failing"
        write(writer, names(1, 200))
        assert Client(serving.port).get("/api/events")["total"] == 200
        backend.always = Say()
        backend.wait(lambda: len(events_of(backend)) >= 200)
        until(lambda: counted(serving.port, "sent") == 200)
        assert health(serving.port) == "ok"
        assert counted(serving.port, "send_failed") + counted(serving.port, "enqueue_failed") == 0
    assert ids_of(backend) == names(0, 200)


def test_a_receiver_that_hangs_or_is_not_there_holds_nobody_up(tmp_path: Path, backend: Backend) -> None:
    """An attempt ends after `timeout`; questions are answered meanwhile, and then everything arrives."""
    backend.answers = [Say(hang=True)]
    with a_server(tmp_path, webhooks=a_hook(backend, timeout="1500ms")) as serving:
        an_archive(tmp_path, [an_event(id="E1")])
        backend.wait(lambda: len(backend.seen) == 1)
        assert Client(serving.port).get("/api/events")["total"] == 1
        backend.wait(lambda: len(backend.kept) == 1)
        until(lambda: counted(serving.port, "sent") == 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/secret-path"
    with a_server(tmp_path, webhooks=a_hook(backend, endpoint=nobody)) as serving:
        an_archive(tmp_path, [an_event(id="E2")])
        until(lambda: health(serving.port) == "failing")
        shown = (serving.served.works["webhooks/hook"]() or "") if serving.served else ""
        assert "cannot reach" in shown and "secret-path" not in shown
    with a_server(tmp_path, webhooks=a_hook(backend)):
        backend.wait(lambda: len(events_of(backend)) == 2)
    assert ids_of(backend) == ["E1", "E2"]


def test_nothing_is_lost_across_restarts(tmp_path: Path, backend: Backend) -> None:
    """What came while no server ran is posted, what arrived is not posted again, what had not arrived has the id it had."""
    with a_server(tmp_path, webhooks=a_hook(backend, send="each")):
        an_archive(tmp_path, [an_event(id="E1")])
        backend.wait(lambda: len(backend.kept) == 1)
    an_archive(tmp_path, [an_event(id="E2")])
    backend.always = Say(503)
    with a_server(tmp_path, webhooks=a_hook(backend, send="each")):
        backend.wait(lambda: len(backend.seen) > 1)
    backend.always = Say()
    with a_server(tmp_path, webhooks=a_hook(backend, send="each")):
        an_archive(tmp_path, [an_event(id="E3")])
        backend.wait(lambda: len(backend.kept) == 3)
    assert ids_of(backend) == ["E1", "E2", "E3"]
    assert len({headers["webhook-id"] for _, headers in backend.seen}) == 3


def test_what_is_refused_for_good_is_counted_and_costs_no_other(tmp_path: Path, backend: Backend) -> None:
    """Given up after 400; after `max_elapsed_time`, where that is set, too."""
    backend.answers = [Say(400), Say(), Say(503), Say(503)]
    retry = {**FAST, "max_elapsed_time": "1ms"}
    with a_server(tmp_path, webhooks=a_hook(backend, send="each", retry_on_failure=retry)) as serving:
        an_archive(tmp_path, [an_event(id="E1"), an_event(id="E2")])
        until(lambda: counted(serving.port, "send_failed") == 1)
        an_archive(tmp_path, [an_event(id="E3")])
        until(lambda: counted(serving.port, "send_failed") == 2)
        assert health(serving.port) == "failing"
        backend.answers = []
        an_archive(tmp_path, [an_event(id="E4")])
        backend.wait(lambda: len(backend.kept) == 2)
        until(lambda: health(serving.port) == "ok")
        assert counted(serving.port, "sent") == 2
    assert ids_of(backend) == ["E2", "E4"]


def test_what_retention_removed_before_it_was_posted_is_counted(tmp_path: Path, backend: Backend) -> None:
    """And what is left is posted."""
    with a_server(tmp_path, webhooks=a_hook(backend)):
        an_archive(tmp_path, [an_event(id="E0")])
        backend.wait(lambda: len(backend.kept) == 1)
    an_archive(tmp_path, [an_event(id="E1"), an_event(id="E2")])
    forget(tmp_path)
    with a_server(tmp_path, webhooks=a_hook(backend)) as serving:
        until(lambda: counted(serving.port, "enqueue_failed") == 2)
        an_archive(tmp_path, [an_event(id="E3")])
        backend.wait(lambda: "E3" in ids_of(backend))
    assert "E1" not in ids_of(backend)


def test_a_webhook_is_shown_what_its_role_is_shown(tmp_path: Path, backend: Backend) -> None:
    """By default an administrator: audit events too; what `masks` hides of the role is hidden."""
    masks = {"read": {"blocked_key_patterns": ["password"]}}
    hooks = {
        "all": {"endpoint": backend.http + "/all"},
        "less": {"endpoint": backend.http + "/less", "role": "read"},
    }
    with a_server(tmp_path, webhooks=hooks, masks=masks):
        an_archive(
            tmp_path,
            [
                an_event("login", id="E1", attributes={"whence.audit": True}),
                an_event("step", id="E2", payload={"password": "hunter2"}),
            ],
        )
        backend.wait(lambda: len(events_of(backend)) == 3)
    shown = {path: body for (path, _), (_, body) in zip(backend.seen, backend.kept, strict=True)}
    assert b"hunter2" in shown["/all"] and b'"E1"' in shown["/all"]
    assert b"hunter2" not in shown["/less"] and b'"E1"' not in shown["/less"] and b'"E2"' in shown["/less"]


def test_an_archive_that_is_still_to_come_is_posted_from_its_first_event(tmp_path: Path, backend: Backend) -> None:
    """The server makes no archive of its own."""
    archive = tmp_path / "archive"
    with a_server(archive, webhooks=a_hook(backend)) as serving:
        assert Client(serving.port).get("/health")["status"] == "waiting"
        an_archive(archive, [an_event(id="E1")])
        backend.wait(lambda: ids_of(backend) == ["E1"])


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, backend: Backend) -> None:
    """As people run it: its place is in the archive's directory, and what had not arrived is posted by the next one."""
    config, archive = tmp_path / "serve.yaml", an_archive(tmp_path / "archive", [an_event(id="old")])
    config.write_text(f"webhooks: {{hook: {{endpoint: '{backend.http}/hook', retry_on_failure: {FAST}}}}}\n")
    with a_process("serve", "-a", archive, *FREE, "--config", config) as one:
        assert one.client.get("/health")["works"] == {"webhooks/hook": "ok"}
        assert (archive / ".webhook-hook").exists()
        backend.always = Say(503)
        an_archive(archive, [an_event(id="E1")])
        backend.wait(lambda: len(backend.seen) > 1)
        one.stop(signal.SIGKILL)
    backend.always = Say()
    an_archive(archive, [an_event(id="E2")])
    with a_process("serve", "-a", archive, *FREE, "--config", config) as two:
        backend.wait(lambda: len(events_of(backend)) >= 2)
        assert two.stop() == 0, two.text
    assert ids_of(backend) == ["E1", "E2"]


def test_a_stop_that_comes_while_it_starts_is_graceful_too(tmp_path: Path, backend: Backend) -> None:
    """Webhooks post before the last door, Jaeger's, is open; a signal in between ends it as later ones do."""
    config, archive = tmp_path / "serve.yaml", an_archive(tmp_path / "archive", [an_event(id="old")])
    config.write_text(f"webhooks: {{hook: {{endpoint: '{backend.http}/hook'}}}}\njaeger: {{endpoint: '127.0.0.1:0'}}\n")
    with a_server(archive, webhooks=a_hook(backend)):
        an_archive(archive, [an_event(id="E1")])
        backend.wait(lambda: ids_of(backend) == ["E1"])
    an_archive(archive, [an_event(id="E2")])
    with a_process("serve", "-a", archive, "--endpoint", "127.0.0.1:0", "--config", config) as one:
        backend.wait(lambda: ids_of(backend) == ["E1", "E2"])
        assert one.stop() == 0, one.text


def test_a_collector_says_that_a_webhook_of_its_server_fails(tmp_path: Path, backend: Backend) -> None:
    """The health of the extension `whence_serve`, with the reason."""
    backend.always = Say(503)
    given = {"directory": str(tmp_path), "endpoint": "127.0.0.1:0", "jaeger": {"enabled": False}}
    host = a_host(tmp_path, "whence_serve")
    extension = ServeExtension(ServeSettings.model_validate({**given, "webhooks": a_hook(backend)}), host)
    extension.start(host)
    try:
        assert extension.health().ok
        an_archive(tmp_path, [an_event(id="E1")])
        until(lambda: extension.health().reason == "webhooks/hook: the webhook answered 503")
        backend.always = Say()
        until(lambda: extension.health().ok)
    finally:
        extension.stop(host.monotonic() + 10)


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ({"endpoint": "host"}, "https://host/path"),
        ({"endpoint": "http://host", "filter": "kind = "}, "cannot read the filter"),
        ({"endpoint": "http://host", "filter": "CAUSED_BY (type = 'x')"}, "caus"),
        ({"endpoint": "http://host", "auth": {"authenticator": "basic"}}, "headers"),
        ({"endpoint": "http://host", "sending_queue": {}}, "sending_queue"),
        ({"endpoint": "http://host", "secret": "short"}, "16 bytes"),
    ],
)
def test_settings_that_cannot_work_are_refused(hook: dict[str, Any], said: str) -> None:
    """Before anything listens."""
    with pytest.raises(ValidationError, match=said):
        ServeSettings.model_validate({"webhooks": {"hook": hook}})
    with pytest.raises(ValidationError, match="pattern"):
        ServeSettings.model_validate({"webhooks": {"../hook": {"endpoint": "http://host"}}})
