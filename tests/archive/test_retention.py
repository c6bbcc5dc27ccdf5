"""Retention: what the plan says, that nothing else goes, and that a kill between any two steps costs nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build import an_archive, an_event
from build_archive import a_line, some_lines, write_archive
from build_examples import TORTURE
from whence.archive import names
from whence.archive.digested import text_of
from whence.archive.holds import Holds, held_by
from whence.archive.reader import Archive
from whence.archive.recovery import recover
from whence.archive.removal import remove, settled_plan, survey
from whence.archive.retention import AUDIT as AUDITED
from whence.archive.retention import DAY, ERRORS, OTHERS, Holding, Plan, Policy, Removal, plan
from whence.archive.seal import parse_seal
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.cli.app import call
from whence.event.kinds import Severity
from whence.event.names import AUDIT, TYPE_RETAINED

NOW = 1_800_000_000 * 10**9
KINDS = (OTHERS, ERRORS, AUDITED)
SCRIPT = Path(__file__).parent / "retain_and_die.py"


def holding(
    days: float,
    *,
    holds: str = OTHERS,
    group: str = "a",
    size: int = 100,
    records: int = 10,
    sealed: bool = True,
) -> Holding:
    """A segment whose newest event is so many days old."""
    stem = f"s-{days}-{holds}"
    return Holding(group, stem, NOW - int(days * DAY), records, size, sealed, frozenset({holds, OTHERS}))


def ages(planned: Plan) -> list[float]:
    return [(NOW - removal.holding.time) / DAY for removal in planned.going]


def steadily(days: int) -> list[Holding]:
    """A segment a day."""
    return [holding(day + 0.5) for day in range(days)]


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_each_kind_of_event_has_its_days() -> None:
    """30 days for events, 365 for errors, 2,555 for audit events; a segment stays as long as its longest-lived one."""
    old = [holding(age, holds=holds) for age in (29, 31, 364, 366, 2554, 2556) for holds in KINDS]
    going = plan(old, Policy(), NOW, even_most=True).going
    assert {(max(one.holding.holds or ()), (NOW - one.holding.time) // DAY) for one in going} == {
        *((OTHERS, age) for age in (31, 364, 366, 2554, 2556)),
        *((ERRORS, age) for age in (366, 2554, 2556)),
        (AUDITED, 2556),
    }
    assert {one.reason for one in going} == {
        f"older than 30 days: {OTHERS}",
        f"older than 365 days: {ERRORS}",
        f"older than 2555 days: {AUDITED}",
    }


def test_what_is_not_sealed_never_goes() -> None:
    """Whatever its age and size, and whatever bounds there are."""
    policy = Policy(days=0, run_events=0, run_bytes=0, total_bytes=0)
    assert plan([holding(9_999, sealed=False)], policy, NOW).going == ()


def test_bounds_take_the_oldest_of_their_run_first() -> None:
    """The newest that fit stay; other runs are not touched; audit events are spared, errors are not."""
    mine = [holding(day, holds=holds) for day, holds in ((5, AUDITED), (4, ERRORS), (3, OTHERS), (2, OTHERS))]
    other = [holding(9, group="b")]
    assert ages(plan([*mine, *other], Policy(run_bytes=250), NOW)) == [4, 3]
    assert ages(plan([*mine, *other], Policy(run_events=30), NOW)) == [4]
    assert ages(plan([*mine, *other], Policy(total_bytes=300), NOW)) == [9, 4]
    assert ages(plan(mine, Policy(total_bytes=0), NOW)) == [4, 3, 2]


@pytest.mark.parametrize("jump", [20, 31, 400, 5_000])
def test_a_clock_that_jumped_forward_removes_nothing(jump: int) -> None:
    """More than half at once, after a pause as long as half the time events are kept: refused until somebody says yes."""
    archive = steadily(29)
    later = NOW + jump * DAY
    planned = plan(archive, Policy(), later)
    assert len(planned.going) > 14
    assert planned.refused is not None
    assert "is the clock right" in planned.refused
    assert plan(archive, Policy(), later, even_most=True).refused is None


def test_a_jumped_clock_that_wrote_already_is_seen_too() -> None:
    """A program that recorded under the wrong time does not make the old events look old."""
    later = NOW + 400 * DAY
    fresh = Holding("a", "fresh", later, 1, 100, False)
    assert plan([*steadily(29), fresh], Policy(), later).refused is not None


def test_the_first_pass_over_a_steady_archive_is_no_jump() -> None:
    """A year of days, eleven months of them too old: that is what retention is for."""
    planned = plan(steadily(365), Policy(), NOW)
    assert (len(planned.going), planned.refused) == (335, None)


@given(
    st.lists(
        st.builds(
            holding, st.floats(0, 4000), holds=st.sampled_from(KINDS), size=st.integers(1, 99), sealed=st.booleans()
        ),
        max_size=12,
        unique_by=lambda one: one.stem,
    ),
    st.builds(Policy, total_bytes=st.none() | st.integers(0, 500), run_events=st.none() | st.integers(0, 90)),
)
def test_every_plan_keeps_its_promises(holdings: list[Holding], policy: Policy) -> None:
    """Everything is either going or staying; audit events within their days and unsealed segments stay; bounds hold."""
    planned = plan(holdings, policy, NOW)
    going = [removal.holding for removal in planned.going]
    assert sorted(map(id, [*going, *planned.staying])) == sorted(map(id, holdings))
    for one in going:
        assert one.sealed
        assert AUDITED not in (one.holds or ()) or NOW - one.time > policy.audit_days * DAY
    free = [one for one in planned.staying if one.sealed and AUDITED not in (one.holds or ())]
    if policy.total_bytes is not None and free:
        assert sum(one.bytes for one in planned.staying) <= policy.total_bytes
    assert plan(planned.staying, policy, NOW).going == ()


# --- the work ---------------------------------------------------------------------------------------------------------


def an_old_chain(directory: Path, count: int = 6) -> Path:
    """One chain of small sealed segments, a line each, whose records are from 2023."""
    write_archive(directory, some_lines(count), WriterOptions(rotate_bytes=1, compress_over=100))
    return directory


def oldest(directory: Path, count: int) -> Sequence[Removal]:
    """The removal of the first segments by their numbers."""
    everything = plan([one for one, _ in survey(directory)], Policy(total_bytes=0), NOW).going
    return sorted(everything, key=lambda removal: removal.holding.stem)[:count]


def test_removed_segments_are_told_from_missing_ones(tmp_path: Path) -> None:
    """The chain is whole after a removal; take a tombstone, or change it, and verification says so."""
    archive = an_old_chain(tmp_path / "archive")
    told: list[int] = []
    results = list(remove(archive, oldest(archive, 3), NOW, lambda going: told.append(len(going))))
    assert [result.trouble for result in results] == [None] * 3
    assert told == [3]
    report = verify(archive)
    assert (report.ok, report.removed, report.sealed) == (True, 3, 3)
    assert [event.id for event in Archive(archive).events()] == ["3", "4", "5"]
    graves = sorted(archive.rglob("*" + names.REMOVED))
    whole = graves[1].read_bytes()
    graves[1].write_bytes(whole.replace(b"older", b"olden"))
    assert {problem.kind for problem in verify(archive).problems} == {"changed", "chain"}
    graves[1].unlink()
    assert [problem.kind for problem in verify(archive).problems] == ["chain"]
    graves[1].write_bytes(whole)
    assert verify(archive).ok
    graves[0].unlink()
    assert [problem.kind for problem in verify(archive).problems] == ["chain"]


def test_a_segment_sealed_after_its_predecessor_was_removed_still_names_it(tmp_path: Path) -> None:
    """The writer goes on while retention works on what it closed."""
    with_writer = ArchiveWriter(tmp_path, WriterOptions(rotate_bytes=1, compress_over=None))
    for n in range(2):
        with_writer.append("run", "logs", [a_line(str(n))])
    with_writer.sync()
    while with_writer.status.segments_sealed < 1:
        with_writer.sync()
    results = list(remove(tmp_path, oldest(tmp_path, 1), NOW, lambda _: None))
    assert [result.trouble for result in results] == [None]
    with_writer.close()
    report = verify(tmp_path)
    assert (report.ok, report.removed, report.sealed) == (True, 1, 1)


def test_a_live_writer_keeps_its_segment(tmp_path: Path) -> None:
    """What is being written is not sealed, and what is not sealed stays."""
    writer = ArchiveWriter(tmp_path)
    writer.append("run", "logs", some_lines(3))
    writer.sync()
    assert settled_plan(tmp_path, Policy(days=0, total_bytes=0), NOW, even_most=True).going == ()
    writer.close()


def test_every_file_of_a_segment_goes_with_it(tmp_path: Path) -> None:
    """Torn bytes and caches hold events too."""
    archive = an_old_chain(tmp_path, 1)
    (sealed,) = archive.rglob("*" + names.SEALED)
    stem = sealed.name.removesuffix(names.SEALED)
    for ending in (".jsonl.torn-12", ".index.parquet", ".index.note"):
        sealed.with_name(stem + ending).write_bytes(b"x")
    list(remove(archive, oldest(archive, 1), NOW, lambda _: None))
    assert sorted(os.listdir(sealed.parent)) == [names.ROLL, stem + names.REMOVED]


def test_what_a_segment_holds_is_read_from_it(tmp_path: Path) -> None:
    """Audit events before errors before the rest; a damaged file counts as the longest-lived."""
    built = {
        "plain": [an_event("x", description="severityNumber 17")],
        "errors": [an_event("x"), an_event("x", severity=Severity.FATAL)],
        "audit": [an_event("x", severity=Severity.ERROR), an_event("x", attributes={AUDIT: True})],
        "false": [an_event("x", attributes={AUDIT: False}, description=AUDIT)],
    }
    found = {}
    for name, events in built.items():
        (segment,) = Archive(an_archive(tmp_path / name, events)).segments()
        found[name] = held_by(segment)
    assert found == {"plain": Holds.EVENTS, "errors": Holds.ERRORS, "audit": Holds.AUDIT, "false": Holds.EVENTS}
    (file,) = (tmp_path / "plain").rglob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b"17", b"18"))
    (segment,) = Archive(tmp_path / "plain").segments()
    assert held_by(segment) is Holds.AUDIT


def test_nothing_goes_where_it_cannot_be_recorded(tmp_path: Path) -> None:
    """The record comes first."""
    archive = an_old_chain(tmp_path)
    before = sorted(path.name for path in archive.rglob("*"))

    def refuse(_: Sequence[Removal]) -> None:
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        list(remove(archive, oldest(archive, 2), NOW, refuse))
    assert sorted(path.name for path in archive.rglob("*")) == before


@pytest.mark.parametrize("name", ["writev", "rename", "fsync", "unlink"])
def test_a_kill_between_any_two_steps_is_made_good(tmp_path: Path, name: str) -> None:
    """SIGKILL before the n-th call of one kind, for every n: afterwards each segment is whole or gone, and the chain holds."""
    source = an_old_chain(tmp_path / "source", 4)
    n = 0
    while True:
        archive = tmp_path / f"{name}-{n}"
        shutil.copytree(source, archive)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(archive), name, str(n)], env=environment, check=False, timeout=120
        )
        before = verify(archive)
        assert before.ok, before.problems
        recover(archive)
        report = verify(archive)
        assert report.ok, report.problems
        assert report.removed + report.sealed == 4
        kept = [event.id for event in Archive(archive).events()]
        assert kept == [str(n) for n in range(4 - len(kept), 4)]
        assert len(kept) == report.sealed
        assert not [
            path
            for path in archive.rglob("*")
            if path.name.partition(".gone")[0] in _graves(archive) and ".gone" not in path.name
        ]
        shutil.rmtree(archive)
        if done.returncode == 0:
            assert (report.removed, n > 0) == (2, True)
            return
        assert done.returncode == -9
        n += 1 if TORTURE or n < 2 else 2


def _graves(archive: Path) -> set[str]:
    return {path.name.removesuffix(names.REMOVED) for path in archive.rglob("*" + names.REMOVED)}


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_dry_run_shows_what_the_real_one_then_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing goes before it was shown; the removal is in the archive as an audit event, which no later pass removes."""
    archive = an_old_chain(tmp_path / "archive")
    for _ in range(2):
        assert call(["retain", "-a", str(archive), "--total-bytes", "1", "--dry-run", "--json"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["removed"] for row in rows] == [False] * 6
    assert call(["retain", "-a", str(archive), "--total-bytes", "1"]) == 0
    said = capsys.readouterr().out
    assert all(row["file"] in said and row["reason"] in said for row in rows)
    assert "6 files removed: 6 records" in said
    assert call(["retain", "-a", str(archive), "--total-bytes", "1"]) == 0
    assert "0 files removed" in capsys.readouterr().out
    (event,) = Archive(archive).events()
    assert (event.type, event.payload["files"], event.payload["records"]) == (TYPE_RETAINED, 6, 6)
    assert event.payload["removed"] == [row["file"] for row in rows]
    assert call(["verify", "-a", str(archive)]) == 0
    assert "6 removed by retention" in capsys.readouterr().out


def test_a_refused_plan_removes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 and the reason; `--even-most` goes on."""
    built = [an_event("x", time=n * DAY * 365) for n in (50, 51)]
    archive = an_archive(tmp_path / "archive", built)
    for path in archive.rglob("*.jsonl"):
        _rename_to(path.parent, "20210101T000000.000000Z")
    assert call(["retain", "-a", str(archive)]) == 3
    assert "is the clock right" in capsys.readouterr().err
    assert call(["retain", "-a", str(archive), "--dry-run"]) == 0
    assert "refused" in capsys.readouterr().err
    assert call(["retain", "-a", str(archive), "--even-most"]) == 0
    assert "1 files removed" in capsys.readouterr().out


def _rename_to(folder: Path, time: str) -> None:
    """Let a sealed segment have been begun at another time."""
    (sealed,) = folder.glob("*" + names.SEALED)
    stem = sealed.name.removesuffix(names.SEALED)
    signal, _, rest = stem.split("-", 2)
    other = f"{signal}-{time}-{rest}"
    seal = replace(parse_seal(sealed.read_bytes()), segment=other)
    sealed.unlink()
    (folder / (other + names.SEALED)).write_bytes(text_of(seal))
    (folder / (stem + names.PLAIN)).rename(folder / (other + names.PLAIN))


def test_a_removal_that_was_cut_off_is_finished_by_the_next_one(tmp_path: Path) -> None:
    """A tombstone with files beside it: they go, whatever the policy then is."""
    archive = an_old_chain(tmp_path / "archive", 3)
    copies = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    list(remove(archive, oldest(archive, 1), NOW, lambda _: None))
    for path, data in copies.items():
        path.write_bytes(data)
    assert verify(archive).ok
    assert call(["retain", "-a", str(archive), "--days", "99999"]) == 0
    assert [event.id for event in Archive(archive).events()] == ["1", "2"]
