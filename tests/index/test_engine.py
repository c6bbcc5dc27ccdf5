"""The engine gives what reading every line gives: with sidecars and without, of many segments and of one, while others write."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from build import START, Built, a_span, an_archive, an_event, append
from whence.archive.names import INDEX, INDEX_NOTE, INDEX_TERMS
from whence.archive.reader import Archive
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.causality.chains import downstream
from whence.errors import FilterError
from whence.event.flat import to_flat
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.parse import parse, parse_query
from whence.filter.sql import Sql
from whence.index.columns import VERSION
from whence.index.engine import Engine
from whence.index.rows import Rows


def some_events(count: int = 300) -> list[Built]:
    """Events of several runs and agents, with values that columns cannot hold, and one that stands twice."""
    odd: dict[int, Any] = {
        7: float("nan"),
        8: b"\x00\xff",
        9: 2**70,
        10: "\ud800",
        11: None,
        12: -0.0,
        13: [1, {"a": []}],
    }
    events = [
        an_event(
            f"type.{n % 3}",
            run=f"run-{n % 2}",
            agent=f"a{n % 5}",
            turn=n,
            seq=n,
            severity=Severity.ERROR if n % 20 == 0 else Severity.INFO,
            payload={"n": n, "odd": odd.get(n, "plain")},
            attributes={"k": f"v{n % 7}"},
            uid=n % 11 != 0,
        )
        for n in range(count)
    ]
    return [*events, events[1], *(a_span(span=f"{n + 1:016x}", failed="broken" if n == 2 else None) for n in range(5))]


def in_order(events: Iterable[Event]) -> list[str]:
    """The events as `repr` (NaN is not itself), by time and id."""
    return [repr(event) for event in sorted(events, key=lambda event: (event.time, event.id))]


def test_with_sidecars_and_without_every_event_is_what_its_line_says(tmp_path: Path) -> None:
    """Bytes, NaN, huge integers, lone surrogates and records without ids come back as they were recorded, each once."""
    directory = an_archive(tmp_path / "archive", some_events())
    expected = in_order(Archive(directory).events())
    without = Engine(directory, keep=False)
    assert [repr(event) for event in without.events()] == expected
    assert not list(directory.rglob(f"*{INDEX}"))
    first, second = Engine(directory, worthwhile=0), Engine(directory, worthwhile=0)
    assert [repr(event) for event in first.events()] == expected
    assert [repr(event) for event in second.events()] == expected
    assert list(directory.rglob(f"*{INDEX}"))
    assert without.count() == first.count() == second.count() == (len(expected), False)


def test_one_big_segment_answers_like_many_small_ones(tmp_path: Path) -> None:
    """Where the lines were cut into files is nobody's business."""
    events = [event for event in some_events() if event.signal == "traces" or "log.record.uid" in str(event.data)]
    one = an_archive(tmp_path / "one", events)
    writer = ArchiveWriter(tmp_path / "many", WriterOptions(rotate_bytes=2_000))
    append(writer, events)
    writer.close()
    many = tmp_path / "many"
    assert len(Archive(many).segments()) > len(Archive(one).segments())
    answers = [
        [
            to_flat(event)
            for event in Engine(directory, worthwhile=0).events(Sql("agent = $1 AND turn > $2", ("a2", 10)))
        ]
        for directory in (one, many)
    ]
    assert answers[0] == answers[1] != []


def test_the_open_tail_is_part_of_every_answer(tmp_path: Path) -> None:
    """An engine that stays open sees each event as soon as its line is written, sealed or not."""
    writer = ArchiveWriter(tmp_path)
    engine = Engine(tmp_path, worthwhile=0)
    for count in range(1, 6):
        append(writer, [an_event("tick", turn=count)])
        assert engine.count().number == count
        assert Engine(tmp_path, worthwhile=0).count().number == count
    writer.close()
    assert engine.count().number == Engine(tmp_path, worthwhile=0).count().number == 5


def test_a_second_look_parses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decoded once is not decoded again, by this engine or by another process' one."""
    directory = an_archive(tmp_path / "archive", some_events())
    Engine(directory, worthwhile=0).look()

    def refuse(*_: object) -> None:
        raise AssertionError("a line was decoded again")

    monkeypatch.setattr("whence.index.build.batches_of", refuse)
    assert Engine(directory, worthwhile=0).count().number == len(list(Archive(directory).events()))


@pytest.mark.parametrize("ending", [INDEX, INDEX_TERMS, INDEX_NOTE])
@pytest.mark.parametrize("harm", ["missing", "truncated", "flipped", "empty", "old"])
def test_a_harmed_sidecar_is_made_anew(tmp_path: Path, ending: str, harm: str) -> None:
    """Whatever becomes of a sidecar or its note, the answer stays the same, and the next look finds them whole."""
    directory = an_archive(tmp_path / "archive", some_events(60))
    expected = [repr(event) for event in Engine(directory, worthwhile=0).events()]
    for path in directory.rglob(f"*{ending}"):
        data = path.read_bytes()
        at = len(data) // 2
        if harm == "missing":
            path.unlink()
        elif harm == "truncated":
            path.write_bytes(data[:at])
        elif harm == "flipped":
            path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        elif harm == "empty":
            path.write_bytes(b"")
        else:
            path.write_bytes(data.replace(b'"version":%d' % VERSION, b'"version":0'))
    assert [repr(event) for event in Engine(directory, worthwhile=0).events()] == expected
    assert [repr(event) for event in Engine(directory, worthwhile=0).events()] == expected


def test_bad_lines_are_told_at_every_look(tmp_path: Path) -> None:
    """A line that is no OTLP is named with its place, read from the line or from the note."""
    directory = an_archive(tmp_path / "archive", [an_event(), an_event()])
    (directory / "foreign.jsonl").write_bytes(b'{"resourceLogs": 1}\nno json\n' + an_event().line)
    for _ in range(2):
        engine = Engine(directory, worthwhile=0)
        assert engine.count().number == 3
        assert {(problem.segment, problem.offset) for problem in engine.problems()} == {("foreign", 0), ("foreign", 20)}


def test_limits_newest_and_time(tmp_path: Path) -> None:
    """The first ones or the last ones, in order."""
    events = [an_event("tick", turn=n, time=START + n) for n in range(20)]
    engine = Engine(an_archive(tmp_path / "archive", events))
    assert [event.turn for event in engine.events(limit=3)] == [0, 1, 2]
    assert [event.turn for event in engine.events(limit=2, newest=True)] == [19, 18]
    assert [event.turn for event in engine.events(Sql("time >= $1", (START + 18,)))] == [18, 19]


def test_when_the_time_is_over_the_answer_is_partial(tmp_path: Path) -> None:
    """A limit of time cuts the answer and says so; without one being reached, nothing is said."""
    engine = Engine(an_archive(tmp_path / "archive", [an_event() for _ in range(50)]))
    slow = Sql("(SELECT count(*) FROM range(3000000000) t(i) WHERE md5(i::VARCHAR) = id) >= 0")
    cut = engine.events(slow, timeout=0.2)
    assert len(list(cut)) < 50
    assert cut.partial
    assert engine.count(slow, timeout=0.2).partial
    whole = engine.events(timeout=60)
    assert len(list(whole)) == 50
    assert not whole.partial


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Engine]:
    """An archive that no test changes, with its sidecars made, and an engine over it."""
    directory = an_archive(tmp_path_factory.mktemp("small") / "archive", some_events(20))
    engine = Engine(directory, worthwhile=0)
    engine.look()
    return directory, engine


@pytest.mark.parametrize(
    "text",
    [
        "COPY events TO '{tmp}/out.csv'",
        "COPY events TO '{sidecar}' (FORMAT parquet)",
        "ATTACH '{tmp}/other.db'",
        "EXPORT DATABASE '{tmp}/export'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_json('https://example.com/x.json')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET threads = 1",
        "RESET threads",
        "CREATE TABLE mine AS SELECT 1",
        "DROP VIEW events",
        "INSERT INTO _tail SELECT * FROM _tail",
        "CALL pragma_version()",
        "SELECT 1; SELECT 2",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{tmp}/out.csv''')",
        "SELECT * FROM local_table_of_python",
        "WITH gone AS (DELETE FROM _tail RETURNING *) SELECT * FROM gone",
        "WITH gone AS (COPY events TO '{sidecar}' (FORMAT parquet, USE_TMP_FILE false)) SELECT * FROM gone",
        "SELECT * FROM (WITH gone AS (COPY events TO '{sidecar}' (FORMAT parquet, USE_TMP_FILE false)) SELECT 1 FROM gone)",
        "EXPLAIN ANALYZE DELETE FROM _tail",
        "SELEC 1",
        "",
    ],
)
def test_sql_touches_nothing_outside(small: tuple[Path, Engine], text: str) -> None:
    """Only one SELECT over the views runs; files, settings, extensions and other tables are out of reach."""
    local_table_of_python = {"n": [1]}
    directory, engine = small
    place = directory.parent
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    sidecar = next(directory.rglob(f"*{INDEX}"))
    with pytest.raises(FilterError):
        engine.sql(text.format(tmp=place, sidecar=sidecar)).read_all()
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert local_table_of_python


def test_sql_answers_over_its_views(tmp_path: Path) -> None:
    """Events, spans, recorded causes and runs, by name."""
    first = an_event("first", run="r")
    second = an_event("second", first, run="r", severity=Severity.ERROR)
    engine = Engine(an_archive(tmp_path / "archive", [first, second, a_span(span="00000000000000aa", run="r")]))
    assert engine.sql("SELECT cause, effect FROM causes").read_all().to_pylist() == [
        {"cause": first.id, "effect": second.id}
    ]
    assert engine.sql("SELECT events, errors FROM runs").read_all().to_pylist() == [{"events": 3, "errors": 1}]
    assert engine.sql("SELECT count(*) AS n FROM spans WHERE duration_ns > 0").read_all().to_pylist() == [{"n": 1}]
    assert engine.sql("SELECT count(*) AS n FROM events").read_all().to_pylist() == [{"n": 3}]


def test_a_table_that_is_not_whole_in_time_is_of_the_oldest_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the answer, said to be one; with time enough it is the whole."""
    monkeypatch.setattr("whence.index.build.ROWS_AT_ONCE", 10)
    monkeypatch.setattr("whence.index.parts.ROWS_AT_ONCE", 10)
    events = [an_event(f"type.{n // 100}", turn=n, time=START + n) for n in range(400)]
    engine = Engine(an_archive(tmp_path / "archive", events), worthwhile=0)
    query = parse_query("| count by type", now=0)
    whole = engine.ask(query, timeout=60)
    assert isinstance(whole, Rows)
    assert sorted(whole.rows) == [(f"type.{n}", 100) for n in range(4)]
    assert not whole.partial

    tables = engine._tables

    def slow(*given: Any) -> Any:
        """As if the whole of the archive took for ever."""
        found = tables(*given)
        session, table = found[-1]
        endless = "(SELECT count(*) FROM range(30000000000) t(i) WHERE md5(i::VARCHAR) = c1) >= 0"
        text = f"SELECT * FROM ({table.text}) WHERE {endless}"
        return [*found[:-1], (session, table.__class__(text, table.parameters, table.columns))]

    monkeypatch.setattr(engine, "_tables", slow)
    for seconds in (0.5, 4.0, 32.0):  # a busy machine may need longer for the part
        cut = engine.ask(query, timeout=seconds)
        assert isinstance(cut, Rows)
        rows = list(cut.rows)
        assert cut.partial
        if rows:
            break
    assert rows == [("type.0", 20)]


def test_threads_ask_one_engine_while_another_writes(tmp_path: Path) -> None:
    """Every answer is of a moment: what was written before it, each event once, and no question fails."""
    writer = ArchiveWriter(tmp_path, WriterOptions(rotate_bytes=20_000))
    first = an_event("first", time=START)
    append(writer, [first])
    engine = Engine(tmp_path, worthwhile=0)
    written, done, faults = [1], threading.Event(), []

    def ask() -> None:
        try:
            while not done.is_set():
                least = written[0]
                turns = [event.turn for event in engine.events(engine.where(parse("tick", now=0)))]
                assert turns == list(range(1, len(turns) + 1))
                assert len(turns) + 1 >= least
                assert engine.count().number >= least
                with engine.lock:
                    assert len(downstream(engine.graph(), first.id).hops) >= least
        except BaseException as fault:
            faults.append(fault)
            raise

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(1, 120):
            append(writer, [an_event("tick", first, turn=turn, time=START + turn)])
            written[0] = turn + 1
    finally:
        done.set()
        for thread in threads:
            thread.join()
    writer.close()
    assert not faults
    assert engine.count().number == 120
