"""The graph made of columns is the graph made of events, also when it grows, and however its file is harmed."""

import random
from pathlib import Path

import pytest

from build import Built, a_span, an_archive, an_event
from whence.archive import names
from whence.archive.reader import Archive
from whence.causality.chains import downstream, upstream
from whence.causality.checks import check
from whence.causality.graph import Follow, Graph
from whence.event.model import Event
from whence.index.causes import COLUMNS, causes_of
from whence.index.engine import Engine
from whence.index.ledger import Ledger, ledger_of, load_ledger, save_ledger
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


def ledger_from(directory: Path) -> Ledger:
    """The graph of an archive's columns."""
    parts = Parts(Archive(directory), keep=False)
    parts.look()
    return ledger_of(causes_of(parts.table(COLUMNS)), "state")


@pytest.mark.parametrize("seed", range(6))
def test_columns_make_the_same_graph_as_events(tmp_path: Path, seed: int) -> None:
    """Recorded and inferred edges, cycles, missing causes, repeats: each as if every event had been added."""
    directory = an_archive(tmp_path / "archive", tangled(seed))
    events = list(Archive(directory).events())
    same(ledger_from(directory), Graph(events), events)


def test_a_graph_that_grew_is_the_graph_of_everything(tmp_path: Path) -> None:
    """What came behind the sidecars is joined to what was before, within the agents' order as well."""
    built = tangled(9)
    directory = an_archive(tmp_path / "first", built[:60])
    everything = list(Archive(an_archive(tmp_path / "all", built)).events())
    later = list(Archive(an_archive(tmp_path / "later", built[60:])).events())
    ledger = ledger_from(directory)
    graph = Graph(Archive(directory).events())
    ledger.grow(later)
    graph.extend(later)
    same(ledger, graph, everything)


def test_an_empty_archive_has_an_empty_graph(tmp_path: Path) -> None:
    """Nothing is no special case."""
    tmp_path.joinpath("empty").mkdir()
    assert len(ledger_from(tmp_path / "empty")) == 0


def test_the_graphs_file_counts_only_while_it_is_whole(tmp_path: Path) -> None:
    """Of another state, cut or with a flipped bit it is not taken; whole, it is the graph."""
    directory = an_archive(tmp_path / "archive", tangled(3))
    parts = Parts(Archive(directory), keep=False)
    parts.look()
    save_ledger(directory, causes_of(parts.table(COLUMNS)), "now")
    events = list(Archive(directory).events())
    loaded = load_ledger(directory, "now")
    assert loaded is not None
    same(loaded, Graph(events), events)
    assert load_ledger(directory, "then") is None
    path = directory / names.CAUSES
    data = path.read_bytes()
    chance = random.Random(1)
    for at in (0, 20, 40, 100, len(data) // 2, *(chance.randrange(len(data)) for _ in range(40))):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :])
        harmed = load_ledger(directory, "now")
        assert harmed is None or (same(harmed, Graph(events), events) is None)
        path.write_bytes(data[:at])
        assert load_ledger(directory, "now") is None


def test_the_engine_makes_the_graph_once(tmp_path: Path) -> None:
    """The first question makes the file, the next engine reads it, and the tail is part of the answer."""
    directory = an_archive(tmp_path / "archive", tangled(4))
    events = list(Archive(directory).events())
    for _ in range(2):
        same(Engine(directory, worthwhile=0).graph(), Graph(events), events)
        assert (directory / names.CAUSES).exists()
