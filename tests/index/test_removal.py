"""What retention removes is gone from every answer: sidecars go with their segments, and the graph of causes is made anew."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import whence
from build import Built, an_archive, an_event
from build_archive import SCRIPTS
from build_examples import often
from whence.archive import names
from whence.archive.reader import Archive
from whence.archive.recovery import recover
from whence.archive.removal import remove, settled_plan
from whence.archive.retention import Plan, Policy
from whence.archive.rules import rule_of
from whence.archive.verify import verify
from whence.causality.chains import downstream, upstream
from whence.causality.graph import Graph
from whence.index.build import build_sidecar


def a_chain_over_runs(count: int = 4) -> list[Built]:
    """A run each for three events; each event is caused by the one before, across runs."""
    events: list[Built] = []
    for n in range(count * 3):
        events.append(an_event(f"step{n % 3}", *events[-1:], run=f"run-{n // 3}", turn=n))
    return events


def indexed(directory: Path, events: list[Built]) -> Path:
    """An archive with every sidecar, the graph of causes, and retention's notes."""
    archive = an_archive(directory, events)
    for segment in Archive(archive).segments():
        assert build_sidecar(segment)
    assert whence.open(archive).count() == len(events)
    whence.open(archive).why(events[-1].id)
    planned(archive)
    return archive


def planned(archive: Path) -> Plan:
    """The first two runs go."""
    now = time.time_ns()
    rule = rule_of("run IN ('run-0', 'run-1')", 0, now)
    return settled_plan(archive, Policy(keep=(rule,)), now + 1, even_most=True)


def assert_answers_are_those_of_the_lines(archive: Path) -> None:
    """Events and both directions of every chain, from the index and from reading everything."""
    events = list(Archive(archive).events())
    graph = Graph(events)
    answers = whence.open(archive)
    assert [event.id for event in answers.events()] == [event.id for event in events]
    assert answers.sql("SELECT count(*) AS n FROM events").read_all().to_pydict() == {"n": [len(events)]}
    for event in events:
        assert answers.why(event.id) == upstream(graph, event.id)
        assert answers.effects(event.id) == downstream(graph, event.id)


def test_sidecars_go_with_their_segments_and_answers_are_right(tmp_path: Path) -> None:
    """A cause that was removed is missing, in an archive that is opened anew and in one that was open all the time."""
    events = a_chain_over_runs()
    archive = indexed(tmp_path / "x", events)
    before = whence.open(archive)
    before.why(events[-1].id)
    assert (archive / names.CAUSES).exists()
    going = planned(archive).going
    assert {removal.holding.group for removal in going} == {"run-0", "run-1"}
    assert not [result.trouble for result in remove(archive, going, time.time_ns(), lambda _: None) if result.trouble]
    for group in ("run-0", "run-1"):
        assert {path.name.rpartition(".")[2] for path in (archive / group).glob("logs-*")} == {"gone"}
    assert_answers_are_those_of_the_lines(archive)
    for answers in (before, whence.open(archive)):
        assert [event.id for event in answers.events()] == [event.id for event in events[6:]]
        chain = answers.why(events[-1].id)
        assert [hop.id for hop in chain.hops] == [event.id for event in events[6:]]
        assert chain.hops[0].missing == (events[5].id,)
    assert verify(archive).ok


@pytest.mark.parametrize("call", ["unlink", "rename", "fsync"])
def test_a_kill_at_every_step_leaves_right_answers(tmp_path: Path, call: str) -> None:
    """Before and after the next start finishes what was begun; nothing of a removed segment stays but its tombstone."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    source = indexed(tmp_path / "source", a_chain_over_runs(3))
    for n in range(0, 99, often(2, 1)):
        archive = Path(shutil.copytree(source, tmp_path / f"{call}-{n}"))
        command = [sys.executable, str(SCRIPTS / "retain_and_die.py"), str(archive), call, str(n)]
        done = subprocess.run(command, env=environment, check=False, timeout=120)
        assert_answers_are_those_of_the_lines(archive)
        recover(archive)
        graves = {path.name.removesuffix(names.REMOVED) for path in archive.rglob("*" + names.REMOVED)}
        assert not [path for path in archive.rglob("*.index.*") if path.name.partition(".index.")[0] in graves]
        assert_answers_are_those_of_the_lines(archive)
        assert verify(archive).ok
        if done.returncode == 0:
            assert n > 0
            assert len(graves) == 2
            return
        assert done.returncode == -9
    pytest.fail("it never came to its end")
