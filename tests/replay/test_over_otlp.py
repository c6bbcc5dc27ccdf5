"""Replays as OTLP, to a real endpoint that answers as it is told."""

from pathlib import Path

import pytest

import whence
from build import START, an_event
from build_backend import Backend, Say, a_backend, retry_info
from build_replay import SECOND, an_archive, events_apart
from whence.errors import ConfigError, StreamError
from whence.event.model import Event
from whence.filter.tree import Everything
from whence.index.engine import Engine
from whence.otlp import wire
from whence.otlp.decode import Place, decode
from whence.replay.over_otlp import MOST, OverOTLP
from whence.replay.player import Terms
from whence.replay.start import Chosen, begin


def taken(backend: Backend) -> list[Event]:
    """The events of all that it took, in order."""
    found = []
    for signal, data in list(backend.kept):
        found += decode(wire.tree_of_protobuf(signal, data), Place("x", 0)).events  # type: ignore[arg-type]
    return found


def test_what_is_sent_is_what_was_recorded(tmp_path: Path) -> None:
    """Log events with causes, payload and resource; so many at once as are due, in as few requests as that needs."""
    events = events_apart(MOST + 20, SECOND)
    events.append(an_event("last", events[0], payload={"n": {"deep": [1, None, 2.5]}}, time=START + 10**6 * SECOND))
    an_archive(tmp_path, events)
    engine = Engine(tmp_path)
    with a_backend() as backend:
        sending = OverOTLP(backend.http)
        chosen = Chosen(Everything())
        assert begin(tmp_path, engine, chosen, sending, Terms(None, most=MOST)).player.run() == MOST + 21
        sending.close()
        assert taken(backend) == list(engine.events())
        assert len(backend.kept) == 2


def test_it_tries_again_where_that_can_help_and_leaves_nothing_out(tmp_path: Path) -> None:
    """An endpoint that is busy, and one that is not there for a while."""
    an_archive(tmp_path, events_apart(3))
    waited: list[float] = []
    with a_backend() as backend:
        backend.answers = [Say(503), Say(429, (("Retry-After", "7"),)), Say(200)]
        sending = OverOTLP(backend.http, {"X-Key": "k"}, wait=waited.append)
        begin(tmp_path, Engine(tmp_path), Chosen(Everything()), sending, Terms(None, most=MOST)).player.run()
        assert [event.id for event in taken(backend)] == [f"run-1-{n:04d}" for n in range(3)]
        assert len(waited) == 2 and waited[1] >= 3.5
        assert {headers.get("x-key") or headers.get("X-Key") for _, headers in backend.seen} == {"k"}
        sending.close()


def test_over_grpc_the_same_goes_and_is_tried_again(tmp_path: Path) -> None:
    """By the URL's scheme or by name: what the services take, after the failures that may be over soon, with headers."""
    an_archive(tmp_path, events_apart(4))
    waited: list[float] = []
    with a_backend() as backend:
        backend.answers = [Say(code=14), Say(code=8, details=retry_info(8, 0.0)), Say()]
        sending = OverOTLP(f"grpc://{backend.grpc}", {"X-Key": "k"}, wait=waited.append)
        begin(tmp_path, Engine(tmp_path), Chosen(Everything()), sending, Terms(None, most=MOST)).player.run()
        sending.close()
        assert len(waited) == 2
        assert taken(backend) == list(Engine(tmp_path).events())
        assert {headers.get("x-key") for _, headers in backend.seen} == {"k"}
        backend.kept = []
        play = whence.play(tmp_path, f"http://{backend.grpc}", speed="max", protocol="grpc")
        assert play.run() == 4
        assert [event.id for event in taken(backend)] == [f"run-1-{n:04d}" for n in range(4)]
        backend.answers = [Say(code=8)]
        with pytest.raises(StreamError, match="RESOURCE_EXHAUSTED as told"):
            whence.play(tmp_path, f"grpc://{backend.grpc}", speed="max").run()


def test_what_is_too_much_for_one_request_goes_in_several(tmp_path: Path) -> None:
    """Servers of gRPC take 4 MiB: no request of several events is larger than they take, and nothing is left out."""
    an_archive(
        tmp_path, [an_event("step", id=f"e{n}", payload={"text": "x" * 900_000}, time=START + n) for n in range(9)]
    )
    with a_backend() as backend:
        assert whence.play(tmp_path, f"grpc://{backend.grpc}", speed="max").run() == 9
        assert [event.id for event in taken(backend)] == [f"e{n}" for n in range(9)]
        assert len(backend.kept) > 1 and all(len(data) < 4_000_000 for _, data in backend.kept)


def test_what_is_refused_for_good_ends_it_and_a_checkpoint_goes_on_there(tmp_path: Path) -> None:
    """With the endpoint's words; what it did not take is sent by the next."""
    an_archive(tmp_path, events_apart(4))
    engine = Engine(tmp_path)
    chosen = Chosen(Everything())
    with a_backend() as backend:
        backend.answers = [Say(), Say(), Say(400)]
        with pytest.raises(StreamError, match="400"):
            begin(tmp_path, engine, chosen, OverOTLP(backend.http), Terms(None), checkpoint="c").player.run()
        backend.kept = backend.kept[:2]
        assert begin(tmp_path, engine, chosen, OverOTLP(backend.http), Terms(None), checkpoint="c").player.run() == 2
        assert [event.id for event in taken(backend)] == [f"run-1-{n:04d}" for n in range(4)]


@pytest.mark.parametrize(
    "endpoint", ["", "localhost:4318", "ftp://x", "http://", "http://x:y", "http://x?y=1", "http://u@x", "grpc://"]
)
def test_an_endpoint_that_is_none_is_refused_at_once(endpoint: str) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigError, match="expected a URL such as"):
        OverOTLP(endpoint)
