"""Causality and queries over HTTP: the same chains and tables as on the command line, within bounds."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from build import START, a_run, a_span, an_archive, an_event
from build_serve import Client, a_client
from whence.cli.app import call


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of a chain of twelve events over two runs, with a fork, a missing cause, a circle and guesses."""
    archive = tmp_path_factory.mktemp("causality") / "archive"
    chain = [an_event("step", id="C00", run="one", time=START)]
    for n in range(1, 12):
        chain.append(
            an_event("step", chain[-1], *(["GONE"] if n == 5 else []), id=f"C{n:02d}", agent="a",
                     run="one" if n < 8 else "two", time=START + n)
        )  # fmt: skip
    fork = [an_event("fork", chain[3], id=f"F{n}", run="one", time=START + 20 + n) for n in range(5)]
    circle = [
        an_event("x", "Y", id="X", run="one", time=START + 30),
        an_event("y", "X", id="Y", run="one", time=START + 31),
    ]
    span = a_span(span="00000000000000aa", run="two", time=START + 40)
    inside = an_event("inside", id="I", span="00000000000000aa", run="two", time=START + 41)
    guessed = [an_event("thought", id=f"G{n}", agent="g", run="two", time=START + 50 + n) for n in range(3)]
    an_archive(archive, [*a_run(*chain, *fork, *circle, inside, *guessed, run="one"), span])
    with a_client(archive) as found:
        found.headers["x-archive"] = str(archive)
        yield found


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({}, []),
        ({"depth": 3}, ["--depth", "3"]),
        ({"limit": 2}, ["--limit", "2"]),
        ({"follow": "recorded"}, ["--recorded"]),
        ({"follow": "all", "depth": 2}, ["--all", "--depth", "2"]),
    ],
)
@pytest.mark.parametrize("id", ["C00", "C04", "C11", "X", "I", "G2", "F1"])
@pytest.mark.parametrize(("direction", "command"), [("upstream", "why"), ("downstream", "effects")])
def test_chains_are_those_of_the_command_line(
    client: Client,
    direction: str,
    command: str,
    id: str,
    query: dict[str, object],
    options: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Hop for hop, within the same bounds; what they cut off is counted."""
    found = client.get(f"/api/causality/{id}", direction=direction, **query)
    assert call([command, id, "-a", client.headers["x-archive"], "--json", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    chain = found[direction]
    assert set(found) == {"event", direction, "partial"} and found["partial"] is False
    assert found["event"]["id"] == id
    assert {name: chain[name] for name in told} == told
    assert all(hop["event"]["id"] == hop["id"] for hop in chain["hops"])


def test_both_ways_at_once_and_under_every_spelling(client: Client) -> None:
    """The same answer for an event of the run; none for one of another."""
    both = client.get("/api/causality/C04")
    assert set(both) == {"event", "upstream", "downstream", "partial"}
    assert both == client.get("/api/runs/one/causality/C04") == client.get("/simulations/one/causality/C04")
    assert client.ask("/api/runs/two/causality/C04").status == 404
    bare = client.get("/api/causality/C04", events=False)
    assert all("event" not in hop for way in ("upstream", "downstream") for hop in bare[way]["hops"])
    assert both["upstream"]["hops"][-1]["id"] == "C04"


def test_bounds_are_told(client: Client) -> None:
    """`cut`, and at each hop how many are beyond; a circle and a missing cause by name."""
    found = client.get("/api/causality/C11", direction="upstream", depth=2)["upstream"]
    assert found["cut"] is True
    assert sum(hop["beyond"] for hop in found["hops"]) > 0
    assert [hop["missing"] for hop in client.get("/api/causality/C05")["upstream"]["hops"]][-1] == ["GONE"]
    assert client.get("/api/causality/X")["upstream"]["cycles"]
    for wrong in ({"depth": 0}, {"limit": 0}, {"limit": 10_001}, {"direction": "sideways"}, {"follow": "me"}):
        assert client.ask("/api/causality/C05", **wrong).status == 422
    assert client.ask("/api/causality/none").status == 404


def test_a_long_chain_is_a_part_once_the_time_is_over(tmp_path: Path) -> None:
    """Its nearest events, whole and marked as a part; with time it is all there, as the bounds allow."""
    chain = [an_event(id="L0000", time=START)]
    for n in range(1, 1_200):
        chain.append(an_event("step", chain[-1], id=f"L{n:04d}", time=START + n))
    with a_client(an_archive(tmp_path / "a", chain)) as client:
        part = client.get("/api/causality/L1199", limit=5_000, timeout="0.001ms")
        assert part["partial"] is True and part["upstream"]["cut"] is True
        hops = part["upstream"]["hops"]
        assert [hop["id"] for hop in hops] == [one.id for one in chain[-500:]]
        assert all(hop["event"]["id"] == hop["id"] for hop in hops) and hops[0]["beyond"] == 1
        whole = client.get("/api/causality/L1199", limit=5_000)
        assert whole["partial"] is False and len(whole["upstream"]["hops"]) == 1_200
        bounded = client.get("/api/causality/L1199", limit=700)
        assert bounded["partial"] is False and len(bounded["upstream"]["hops"]) == 700


@pytest.mark.parametrize(
    "asked",
    [
        "count by type",
        "type = step | count by run | sort run",
        "| top 2 type",
        "type = fork | fields id, type",
        "type = fork",
    ],
)
def test_queries_answer_as_on_the_command_line(client: Client, asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables and events alike."""
    query = asked if "|" in asked or "count" not in asked else f"| {asked}"
    found = client.get("/api/query", q=query)
    assert call(["query", query, "-a", client.headers["x-archive"], "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found["has_more"] is found["partial"] is False
    if "rows" in found:
        rows = [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
        assert [{key: value for key, value in row.items() if value is not None} for row in rows] == told
    else:
        assert found["events"] == told


def test_a_query_gives_at_most_as_much_as_is_asked_for(client: Client) -> None:
    """And says that there is more."""
    found = client.get("/api/query", q="| count by id", limit=3)
    assert (len(found["rows"]), found["has_more"]) == (3, True)
    found = client.get("/api/query", q="type = step", limit=3)
    assert (len(found["events"]), found["has_more"]) == (3, True)
    assert client.ask("/api/query", q="type = step", limit=10_001).status == 422
    assert client.ask("/api/query").detail.startswith("cannot understand the request: q: missing")
    assert client.ask("/api/query", q="| count by nothing.there(").status == 400
