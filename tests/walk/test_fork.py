"""Programs that fork while they record: nobody hangs, nothing is lost in a child, nothing is written by two."""

from collections import Counter
from pathlib import Path

import pytest

from build_examples import often
from build_walk import is_sound, recorded, run, whence_cli

FORKS = often(60, 600)


@pytest.mark.timeout(600)
def test_a_program_may_fork_at_any_moment(tmp_path: Path) -> None:
    """While three threads emit, log, trace, batch and flush: each child does the same, and all of it is there once."""
    run("forks.py", tmp_path / "archive", FORKS, timeout=500)
    events = recorded(tmp_path / "archive")
    counts = Counter(event.type for event in events)
    for step in ("step", "work", "first", "second"):
        assert counts[f"child.{step}"] == FORKS
    for who in ("parent0", "parent1", "parent2"):
        assert counts[f"{who}.step"] == counts[f"{who}.work"] == counts[f"{who}.first"] == counts[f"{who}.second"] > 0
    assert counts[""] == sum(counts[f"{who}.step"] for who in ("child", "parent0", "parent1", "parent2"))
    assert sorted(e.payload["n"] for e in events if e.type == "child.step") == list(range(FORKS))
    whence_cli("seal", "-a", tmp_path / "archive")  # of children that left by os._exit
    is_sound(tmp_path / "archive")


def test_children_forked_while_the_first_record_is_encoded_encode_too() -> None:
    """One thread encodes for the first time, the other forks: nothing that is made at its first use is half made in a child."""
    run("first_encode.py")


@pytest.mark.parametrize("way", ["fork", "spawn", "pool"])
def test_multiprocessing_children_lose_nothing_though_they_never_flush(tmp_path: Path, way: str) -> None:
    """A forked process, a spawned one that configures for itself, and a pool's workers end normally: their events are there."""
    count = 3
    run("workers.py", tmp_path / "archive", way, count)
    events = recorded(tmp_path / "archive")
    said = sorted((event.payload["number"], event.payload["step"]) for event in events if event.type == "worker.step")
    assert said == [(number, step) for number in range(count) for step in range(20)]
    assert {event.run for event in events} == {"workers"}
    is_sound(tmp_path / "archive")


def test_a_preforking_server_records_every_request(tmp_path: Path) -> None:
    """Workers forked from a configured master, one killed and replaced, the others told to end: every answered request is there
    once, and what the master had queued when it forked is written by the master alone."""
    run("prefork.py", tmp_path / "archive")
    events = recorded(tmp_path / "archive")
    assert sorted(event.payload["number"] for event in events if event.type == "request") == list(range(80))
    assert len([event for event in events if event.type == "before the fork"]) == 1
    whence_cli("seal", "-a", tmp_path / "archive")  # of the worker that was killed
    is_sound(tmp_path / "archive")


def test_the_stock_batch_processor_with_our_exporter_survives_forks(tmp_path: Path) -> None:
    """OpenTelemetry's processor and our exporter, as a program without configure has them."""
    forks = often(15, 100)
    run("stock_fork.py", tmp_path / "archive", forks)
    events = recorded(tmp_path / "archive")
    said = sorted((e.attributes["number"], e.attributes["step"]) for e in events if e.type == "child")
    assert said == [(number, step) for number in range(forks) for step in range(5)]
    assert {event.run for event in events} == {"stock"}


def test_a_batch_that_was_open_at_the_fork_is_the_parents(tmp_path: Path) -> None:
    """What was collected before the fork is recorded by the parent; the child's own part of the block by the child."""
    run("fork_in_batch.py", tmp_path / "archive")
    assert sorted(event.type for event in recorded(tmp_path / "archive")) == ["before", "in the child", "in the parent"]
