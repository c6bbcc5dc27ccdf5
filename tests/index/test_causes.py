"""The graph made of columns is the graph made of events, also when it grows, and however its file is harmed."""

import random
from pathlib import Path

import pytest

from build import Built, a_span, an_archive, an_event, append
from build_examples import often
from whence.archive import names
from whence.archive.reader import Archive
from whence.archive.writer import ArchiveWriter
from whence.causality.chains import downstream, upstream
from whence.causality.checks import check
from whence.causality.graph import Follow, Graph
from whence.event.model import Event
from whence.index.engine import Engine
from whence.index.ledger import Ledger, bring_up_to_date
from whence.index.parts import Parts


def tangled(seed: int, count: int = 120) -> list[Built]:
    """Events with causes before and behind them, missing ones, cycles, spans, agents with and without an order, repeats."""
    chance = random.Random(seed)
    spans = [f"{n + 1:016x}" for n in range(8)]
    ids = [f"E{n:04d}" for n in range(count)]
    built: list[Built] = []
    for n in range(count):
        if n % 10 == 3:
            built.append(a_span(span=spans[n // 10 % 8], parent=chance.choice([None, *spans, spans[n // 10 % 8]])))
            continue
        built.append(
            an_event(
                f"type-{n % 4}",
                *chance.choices(
                    [*ids, "nowhere", f"span:{'0af7651916cd43dd8448eb211c80319c'}-{spans[1]}"], k=chance.randrange(4)
                ),
                id=ids[n],
                run=f"run-{n % 2}",
                agent=chance.choice(["a", "b", None]),
                seq=chance.choice([n, None, 7]),
                span=chance.choice([None, None, *spans]),
                time=1_767_225_600_000_000_000 + chance.randrange(50),
                elapsed_ns=chance.choice([None, 5]),
                resource=chance.choice([{}, {"service.instance.id": "two"}]),
            )
        )
    return [*built, built[0], built[5]]


def same(ledger: Graph, graph: Graph, events: list[Event]) -> None:
    """Both answer every question alike."""
    assert len(ledger) == len(graph)
    assert list(ledger.all_events()) == list(graph.all_events())
    assert list(ledger.missing()) == list(graph.missing())
    assert list(check(ledger)) == list(check(graph))
    for event in events:
        for follow in Follow:
            assert ledger.causes(event.id, follow) == graph.causes(event.id, follow)
            assert ledger.effects(event.id, follow) == graph.effects(event.id, follow)
        assert upstream(ledger, event.id) == upstream(graph, event.id)
        assert downstream(ledger, event.id, max_hops=30) == downstream(graph, event.id, max_hops=30)
        assert ledger.run_of(event.id) == graph.run_of(event.id)


def parts_of(directory: Path, *, keep: bool = False) -> Parts:
    """An archive's columns; `keep`: on disk."""
    parts = Parts(Archive(directory), keep=keep, worthwhile=0)
    parts.look()
    return parts


def ledger_from(directory: Path, *, keep: bool = False) -> Ledger:
    """The graph of an archive's columns."""
    return bring_up_to_date(None, parts_of(directory, keep=keep))


@pytest.mark.parametrize("seed", range(6))
def test_columns_make_the_same_graph_as_events(tmp_path: Path, seed: int) -> None:
    """Recorded and inferred edges, cycles, missing causes, repeats: each as if every event had been added."""
    directory = an_archive(tmp_path / "archive", tangled(seed))
    events = list(Archive(directory).events())
    same(ledger_from(directory), Graph(events), events)


@pytest.mark.parametrize("keep", [True, False])
def test_a_graph_that_grew_is_the_graph_of_everything(tmp_path: Path, keep: bool) -> None:
    """What came since it was made is joined to what was before, within the agents' order as well, whoever made it."""
    built = tangled(9)
    writer = ArchiveWriter(tmp_path)
    append(writer, built[:60])
    first = list(Archive(tmp_path).events())
    ledger, graph = ledger_from(tmp_path, keep=keep), Graph(first)
    for start, end in ((60, 61), (61, 90), (90, len(built))):
        append(writer, built[start:end])
        events = list(Archive(tmp_path).events())
        ledger = bring_up_to_date(ledger, parts_of(tmp_path, keep=keep))
        graph.extend(events)
        same(ledger, graph, events)
    writer.close()
    assert bring_up_to_date(ledger, parts_of(tmp_path, keep=keep)) is ledger
    same(ledger_from(tmp_path, keep=keep), Graph([*first, *events] if keep else events), events)


def test_a_graph_whose_segment_is_gone_is_made_anew(tmp_path: Path) -> None:
    """What retention removed is in no answer any more."""
    built = tangled(5)
    directory = an_archive(tmp_path / "archive", built[:60])
    an_archive(directory, built[60:])
    ledger = ledger_from(directory, keep=True)
    gone = Archive(directory).segments()[0]
    for path in gone.base.parent.glob(f"{gone.stem}*"):
        path.unlink()
    events = list(Archive(directory).events())
    assert 0 < len(events) < len(ledger)
    same(bring_up_to_date(ledger, parts_of(directory, keep=True)), Graph(events), events)
    same(ledger_from(directory, keep=True), Graph(events), events)


def test_an_empty_archive_has_an_empty_graph(tmp_path: Path) -> None:
    """Nothing is no special case."""
    tmp_path.joinpath("empty").mkdir()
    assert len(ledger_from(tmp_path / "empty")) == 0


def test_the_graphs_file_counts_only_while_it_is_whole(tmp_path: Path) -> None:
    """Cut, with a flipped bit, or without its note it is made anew; whole, it is the graph."""
    directory = an_archive(tmp_path / "archive", tangled(3))
    events = list(Archive(directory).events())
    graph = Graph(events)
    path = directory / names.CAUSES
    same(ledger_from(directory, keep=True), graph, events)
    data = path.read_bytes()
    chance = random.Random(1)
    for at in (0, 20, 40, 100, len(data) // 2, *(chance.randrange(len(data)) for _ in range(often(5, 20)))):
        for harmed in (data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :], data[:at]):
            path.write_bytes(harmed)
            same(ledger_from(directory, keep=True), graph, events)
            assert path.read_bytes() == data
    (directory / names.CAUSES_NOTE).unlink()
    same(ledger_from(directory, keep=True), graph, events)


def test_the_engine_makes_the_graph_once(tmp_path: Path) -> None:
    """The first question makes the file, the next engine reads it, and the tail is part of the answer."""
    directory = an_archive(tmp_path / "archive", tangled(4))
    events = list(Archive(directory).events())
    for _ in range(2):
        same(Engine(directory, worthwhile=0).graph(), Graph(events), events)
        assert (directory / names.CAUSES).exists()
