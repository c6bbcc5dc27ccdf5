"""An index changes no answer: any filter over any archive gives what the filter's closure says of every event in the lines."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import build_filter
from build import START, Built, a_span, an_event, append
from build_examples import examples
from whence.archive.reader import Archive
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.causality.graph import Follow, Graph
from whence.errors import FilterError
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.parse import parse_query
from whence.filter.printer import to_text
from whence.filter.tree import Causal, Caused, CausedBy, Filter
from whence.index.engine import Engine
from whence.index.rows import Rows

SPANS = [f"{n + 1:016x}" for n in range(4)]
IDS = [
    "e0",
    "e1",
    "e2",
    "e3",
    "e4",
    "",
    "nowhere",
    *(f"span:0af7651916cd43dd8448eb211c80319c-{span}" for span in SPANS),
]
TIME = st.sampled_from([START, START + 1, build_filter.NOW, 0, 1, 2**63 - 1]) | st.integers(0, 2**63 - 1)
TEXT = build_filter.TEXTS
WHOLE = st.none() | st.integers(0, 7) | st.sampled_from([2**63 - 1])
ODD = st.sampled_from(
    [float("nan"), 2**63, -(2**63) - 1, 2**255, -(2**256), "\ud800", b"\xff\x00", -0.0, [None, {}], {"a": {"b": 1}}]
)
MAPS = st.dictionaries(build_filter.KEYS, build_filter.VALUES | ODD, max_size=4)


def records() -> st.SearchStrategy[Built]:
    """Log events and spans, with ids that stand twice, are empty or missing, and causes that are anywhere or nowhere."""
    log = st.builds(
        lambda type, causes, **fields: an_event(type, *causes, **fields),
        TEXT, st.lists(st.sampled_from(IDS), max_size=3), id=st.sampled_from(IDS[:6]) | st.integers(0, 10**6).map(str),
        uid=st.sampled_from([True, True, True, False]), time=TIME, severity=st.sampled_from(list(Severity)),
        run=st.sampled_from(["run-1", "run-2", "a/b"]), description=st.none() | TEXT, payload=st.none() | MAPS,
        attributes=st.dictionaries(build_filter.KEYS, build_filter.VALUES | ODD, max_size=3), agent=st.none() | TEXT, turn=WHOLE,
        seq=WHOLE, elapsed_ns=WHOLE, correlation=st.none() | TEXT, span=st.none() | st.sampled_from(SPANS),
        status=st.none() | st.sampled_from(["ok", "failed"]),
    )  # fmt: skip
    span = st.builds(
        a_span, TEXT, span=st.sampled_from(SPANS), parent=st.none() | st.sampled_from(SPANS),
        time=TIME.map(lambda at: at % 2**62),
        took=st.integers(0, 2**40),
        failed=st.none() | TEXT, attributes=st.dictionaries(build_filter.KEYS, build_filter.VALUES, max_size=2),
    )  # fmt: skip
    return log | log | log | span


def write(directory: Path, shares: list[list[Built]], tail: list[Built], foreign: list[Built]) -> ArchiveWriter:
    """An archive by several writers, some of it in small segments, compressed or not, with bad lines and an open tail."""
    directory.mkdir(parents=True, exist_ok=True)
    for n, share in enumerate(shares):
        writer = ArchiveWriter(
            directory, WriterOptions(rotate_bytes=(600, 4_000)[n % 2], compress_over=(0, None)[n % 2])
        )
        append(writer, share)
        assert writer.close(60).reason is None
    bad = b'{"resourceLogs": 1}\nno json\n\n{"resourceSpans":[{"scopeSpans":[{"spans":[7]}]}]}\n'
    (directory / "other.jsonl").write_bytes(bad.join(event.line for event in foreign) + bad)
    writer = ArchiveWriter(directory)
    append(writer, tail)
    return writer


class Closure:
    """The answers of the lines alone: every event once, by time and id, with its causes walked event by event."""

    def __init__(self, directory: Path) -> None:
        read = list(Archive(directory).events())
        self.events = sorted(
            {event.id: event for event in reversed(read)}.values(), key=lambda event: (event.time, _key(event.id))
        )
        self.graph = Graph(read)

    def matching(self, tree: Filter) -> list[Event]:
        """The events of which the filter is true."""
        test = matcher(tree, self.causal)
        return [event for event in self.events if test(event)]

    def causal(self, node: Causal) -> set[str]:
        """The ids of the events for which a causal question is answered with yes."""
        assert isinstance(node, CausedBy | Caused)
        front = {event.id for event in self.matching(node.by if isinstance(node, CausedBy) else node.what)}
        near = self.graph.effects if isinstance(node, CausedBy) else self.graph.causes
        reached: set[str] = set()
        for _ in range(min(node.hops or 10**9, len(self.events) + 1)):
            front = {tie.id for id in front if id in self.graph for tie in near(id, Follow.RECORDED)} - reached
            reached |= front
        return reached


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def shown(events: Iterable[Event]) -> list[str]:
    """As text, for NaN is not itself."""
    return [repr(event) for event in events]


def answer(engine: Engine, tree: Filter, **more: Any) -> list[str]:
    """What the engine gives for a filter."""
    return shown(engine.events(engine.where(tree), **more))


PLAIN = build_filter.filters()
HOPS = st.none() | st.integers(1, 4)
CAUSAL = st.builds(CausedBy, PLAIN, HOPS, st.none()) | st.builds(Caused, PLAIN, HOPS, st.none())


@examples(5)
@given(
    st.lists(st.lists(records(), max_size=6), min_size=1, max_size=3),
    st.lists(records(), max_size=4),
    st.lists(records(), max_size=3),
    st.lists(build_filter.filters(build_filter.conditions() | CAUSAL), min_size=2, max_size=5),
    st.integers(0, 5),
)
def test_with_an_index_and_without_every_answer_is_that_of_the_lines(
    shares: list[list[Built]], tail: list[Built], foreign: list[Built], trees: list[Filter], limit: int
) -> None:
    """Sidecars kept, read again or never made; whole answers, the first ones, the newest ones and how many."""
    with TemporaryDirectory() as place:
        writer = write(Path(place) / "archive", shares, tail, foreign)
        closure = Closure(writer.directory)
        engines = [
            Engine(writer.directory, keep=False),
            *(Engine(writer.directory, keep=True, worthwhile=0) for _ in range(2)),
        ]
        for tree in trees:
            expected = closure.matching(tree)
            for engine in engines:
                assert answer(engine, tree) == shown(expected), to_text(tree)
                assert answer(engine, tree, limit=limit) == shown(expected[:limit]), to_text(tree)
                newest = answer(engine, tree, limit=limit, newest=True)
                assert newest == shown(expected[::-1][:limit]), to_text(tree)
                assert engine.count(engine.where(tree)).number == len(expected), to_text(tree)
        writer.close(60)


PIPES = ["| count", "| count by type", "| count by run, agent", "| count by severity, bucket(1h)", "| top 3 type",
         "| distinct run",
         "| max turn by run", "| fields id, time, payload.a", "| p50 duration by type"]  # fmt: skip


@examples(5)
@given(
    st.lists(st.lists(records(), min_size=1, max_size=6), min_size=1, max_size=3),
    PLAIN,
    st.sampled_from(PIPES),
)
def test_tables_are_the_same_with_sidecars_and_without(shares: list[list[Built]], tree: Filter, pipe: str) -> None:
    """Counts, percentiles and columns of what matches, whether read from sidecars or from memory."""
    with TemporaryDirectory() as place:
        writer = write(Path(place) / "archive", shares, [], [])
        writer.close(60)
        query = parse_query(f"{to_text(tree)} {pipe}", now=0)
        found = []
        for engine in (Engine(writer.directory, keep=False), Engine(writer.directory, keep=True, worthwhile=0)):
            try:
                table = engine.ask(query)
            except FilterError as refused:
                found.append(str(refused))
                continue
            assert isinstance(table, Rows)
            found.append(sorted(map(repr, table.rows)))
        assert found[0] == found[1]


@examples(5)
@given(
    st.lists(records(), min_size=1, max_size=14), st.lists(PLAIN | CAUSAL, min_size=1, max_size=3), st.integers(1, 5)
)
def test_an_engine_that_stays_open_while_the_archive_grows_answers_like_a_new_one(
    built: list[Built], trees: list[Filter], step: int
) -> None:
    """Step by step, with segments closed and compressed on the way: never less, never twice, never an old answer."""
    with TemporaryDirectory() as place:
        writer = ArchiveWriter(Path(place), WriterOptions(rotate_bytes=1_500, compress_over=0))
        kept = [Engine(Path(place), keep=keep, worthwhile=0) for keep in (True, False)]
        for at in range(0, len(built), step):
            append(writer, built[at : at + step])
            closure = Closure(Path(place))
            for tree in trees:
                for engine in kept:
                    assert answer(engine, tree) == shown(closure.matching(tree)), to_text(tree)
        writer.close(60)
        for tree in trees:
            for engine in [*kept, Engine(Path(place), keep=True, worthwhile=0)]:
                assert answer(engine, tree) == shown(Closure(Path(place)).matching(tree)), to_text(tree)
