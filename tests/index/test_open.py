"""`whence.open` answers filters, causes and SQL, and its page's example runs; causal conditions are those of the graph."""

import random
import re
from pathlib import Path

import pytest

import whence
from build import START, Built, an_archive, an_event
from whence.archive.reader import Archive
from whence.causality.graph import Follow, Graph
from whence.errors import NotFoundError

PAGE = Path(__file__).parents[2] / "docs" / "query.md"


def a_web(seed: int, count: int = 80) -> list[Built]:
    """Events caused by any others, later ones and missing ones too."""
    chance = random.Random(seed)
    ids = [f"E{n:03d}" for n in range(count)]
    return [
        an_event(
            f"t{n % 4}",
            *chance.choices([*ids, "nowhere"], k=chance.choice((0, 1, 1, 2))),
            id=ids[n],
            time=START + n * 10,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("hops", [None, 1, 2, 5])
def test_causal_conditions_are_walks_of_the_graph(tmp_path: Path, seed: int, hops: int | None) -> None:
    """CAUSED_BY and CAUSED give what a walk from each event gives, with hops bounded or not."""
    directory = an_archive(tmp_path / "archive", a_web(seed))
    graph = Graph(Archive(directory).events())
    starts = [event.id for event in Archive(directory).events() if event.type == "t1"]
    archive = whence.open(directory)
    within = "" if hops is None else f" WITHIN {hops} HOPS"
    for word, near in (("CAUSED_BY", graph.effects), ("CAUSED", graph.causes)):
        reached: set[str] = set()
        front = set(starts)
        for _ in range(200 if hops is None else hops):
            front = {tie.id for id in front if id in graph for tie in near(id, Follow.RECORDED)}
            reached |= front
        found = [event.id for event in archive.events(f"{word} (type = 't1'){within}")]
        assert found == sorted(id for id in reached if id in graph)


def test_a_limit_of_time_is_between_the_event_and_where_it_began(tmp_path: Path) -> None:
    """A chain is followed through, and its far end left out."""
    events: list[Built] = []
    for n in range(5):
        events.append(an_event("tick", *events[-1:], turn=n, time=START + n * 1_000_000_000))
    archive = whence.open(an_archive(tmp_path / "archive", events))
    assert [event.turn for event in archive.events("CAUSED_BY (turn = 0) WITHIN 2s")] == [1, 2]
    assert [event.turn for event in archive.events("CAUSED (turn = 4) WITHIN 2s")] == [2, 3]
    assert [event.turn for event in archive.events("CAUSED_BY (turn IN (0, 3)) WITHIN 1s")] == [1, 4]


def test_a_long_chain_is_only_a_longer_loop(tmp_path: Path) -> None:
    """Thousands of hops and a cycle are answered like one hop."""
    events: list[Built] = []
    for n in range(3_000):
        events.append(an_event("tick", events[-1] if events else "E-last", id=f"E{n}", turn=n))
    events.append(an_event("last", "E2999", id="E-last"))
    archive = whence.open(an_archive(tmp_path / "archive", events))
    assert archive.count("CAUSED_BY (turn = 0)") == 3_001
    assert len(archive.why("E2999").hops) == 3_001


def test_open_gives_chains_counts_and_columns(tmp_path: Path) -> None:
    """Each way to ask, once."""
    first = an_event("first", agent="a")
    second = an_event("second", first, agent="b")
    archive = whence.open(an_archive(tmp_path / "archive", [first, second]))
    assert [event.type for event in archive.events_of(archive.why(second.id))] == ["first", "second"]
    assert [hop.id for hop in archive.effects(first.id).hops] == [first.id, second.id]
    assert archive.count("agent = 'a'") == 1
    assert archive.arrow("agent = 'a'").read_all()["id"].to_pylist() == [first.id]
    assert list(archive.df()["type"].sort_values()) == ["first", "second"]
    with pytest.raises(NotFoundError):
        archive.why("nobody")
    with pytest.raises(NotFoundError):
        whence.open(tmp_path / "nothing")


def test_the_example_in_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pasted into a file beside an archive, it prints."""
    an_archive(tmp_path / "whence-archive", [an_event("lost", severity=whence.Severity.ERROR, agent="a7")])
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, "page", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "1"
