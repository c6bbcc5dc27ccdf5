"""`why`, `effects`, `check` and `last` on stories with a known end."""

from pathlib import Path

from build import START, TRACE, a_run, a_span, an_archive, an_event
from build_cli import Ask

SECOND = 1_000_000_000


def a_story(directory: Path) -> dict[str, str]:
    """A drought that leads to a riot two ways, with a guess in the middle; ids by type."""
    drought = an_event("drought", agent="sky", time=START)
    harvest = an_event("harvest", drought, agent="farmer", time=START + SECOND)
    hoard = an_event("hoard", agent="farmer", time=START + 2 * SECOND)
    change = {"variable_name": "price", "old_value": 3, "new_value": 5}
    price = an_event("price", hoard, agent="market", payload=change, time=START + 3 * SECOND)
    riot = an_event("riot", price, drought, agent="crowd", time=START + 4 * SECOND)
    an_archive(directory, [riot, price, hoard, harvest, drought, an_event("apart", agent="nobody")])
    return {"drought": drought.id, "harvest": harvest.id, "hoard": hoard.id, "price": price.id, "riot": riot.id}


def test_why_tells_one_line_a_hop_from_root_cause_to_event(tmp_path: Path, whence: Ask) -> None:
    """With the causes' numbers, time, lane, type and what changed; a guess is told apart from what was recorded."""
    story = a_story(tmp_path)
    lines = whence("why", story["riot"], "-a", tmp_path).out.splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["1", "+0.000000s", "sky", "·", "drought"],
        ["2", "1", "─▶", "+1.000000s", "farmer", "·", "harvest"],
        ["3", "2", "╌▶", "+2.000000s", "farmer", "·", "hoard"],
        ["4", "3", "─▶", "+3.000000s", "market", "·", "price", "price", "3", "->", "5"],
        ["5", "1,4", "─▶", "+4.000000s", "crowd", "·", "riot"],
    ]
    assert lines[5:] == ["─▶ recorded by the program   ╌▶ inferred from the same agent's previous event"]


def test_effects_tells_the_same_story_the_other_way(tmp_path: Path, whence: Ask) -> None:
    """The event first, then all that it led to."""
    story = a_story(tmp_path)
    hops = whence("effects", story["drought"], "-a", tmp_path, "--json").json["hops"]
    assert [hop["event"]["type"] for hop in hops] == ["drought", "harvest", "hoard", "price", "riot"]
    recorded = whence("effects", story["drought"], "-a", tmp_path, "--json", "--recorded").json["hops"]
    assert [hop["event"]["type"] for hop in recorded] == ["drought", "harvest", "riot"]


def test_recorded_and_inferred_edges_are_marked_in_json(tmp_path: Path, whence: Ask) -> None:
    """Each edge says on what basis it stands."""
    story = a_story(tmp_path)
    chain = whence("why", story["price"], "-a", tmp_path, "--json").json
    assert [hop["causes"] for hop in chain["hops"]] == [
        [],
        [{"id": story["drought"], "basis": "recorded", "recorded": True}],
        [{"id": story["harvest"], "basis": "previous_of_agent", "recorded": False}],
        [{"id": story["hoard"], "basis": "recorded", "recorded": True}],
    ]
    assert chain["direction"] == "upstream" and not chain["cut"] and chain["cycles"] == []


def test_bounds_are_said_where_they_cut(tmp_path: Path, whence: Ask) -> None:
    """What was left out is not hidden."""
    story = a_story(tmp_path)
    answer = whence("why", story["riot"], "-a", tmp_path, "--depth", 1)
    assert "1 more causes not followed" in answer.out and "harvest" not in answer.out
    assert whence("why", story["riot"], "-a", tmp_path, "--limit", 2, "--json").json["cut"] is True


def test_a_chain_crosses_runs_spans_and_signals(tmp_path: Path, whence: Ask) -> None:
    """A worker's event leads back through spans to the event of another run that asked for the work."""
    asked = an_event("asked", run="client", time=START)
    outer = a_span("request", span="a" * 16, run="server", time=START + SECOND,
                   attributes={"whence.caused_by": [asked.id]})  # fmt: skip
    inner = a_span("query", span="b" * 16, parent="a" * 16, run="server", time=START + 2 * SECOND)
    done = an_event("done", span="b" * 16, run="server", time=START + 3 * SECOND)
    an_archive(tmp_path, [done, inner, outer, asked])
    answer = whence("why", done.id, "-a", tmp_path)
    types = [line.split()[-1] if "took" not in line else line.split()[-4] for line in answer.out.splitlines()]
    assert [word for word in types if word in ("asked", "request", "query", "done")] == [
        "asked",
        "request",
        "query",
        "done",
    ]
    assert "run client" in answer.out and "run server" in answer.out
    assert whence("effects", asked.id, "-a", tmp_path, "--json").json["hops"][-1]["event"]["id"] == done.id


def test_missing_causes_and_cycles_are_told_in_the_chain(tmp_path: Path, whence: Ask) -> None:
    """Faults of the record do not stop the answer."""
    one, two = "01KDVAAAAAAAAAAAAAAAAAAAA1", "01KDVAAAAAAAAAAAAAAAAAAAA2"
    an_archive(tmp_path, [an_event("one", two, "gone", id=one), an_event("two", one, id=two)])
    answer = whence("why", two, "-a", tmp_path)
    assert "gone ─▶ a recorded cause that is nowhere" in answer.out and "cycle: 1 ─▶ 2 ─▶ 1" in answer.out
    assert answer.code == 0


def test_check_finds_each_kind_of_fault_and_says_no(tmp_path: Path, whence: Ask) -> None:
    """One line a finding, exit code 1; what is ignored is not a fault."""
    one, two = "01KDVAAAAAAAAAAAAAAAAAAAA1", "01KDVAAAAAAAAAAAAAAAAAAAA2"
    late = an_event("late", time=START + 9 * SECOND)
    events = [
        an_event("one", two, id=one),
        an_event("two", one, id=two),
        late,
        an_event("early", late, time=START),
        an_event("lost", "gone"),
        an_event("orphan", span="f" * 16),
    ]
    an_archive(tmp_path, events)
    answer = whence("check", "-a", tmp_path, "--json")
    assert answer.code == 1 and [finding["fault"] for finding in answer.json_lines] == [
        "cycle",
        "later",
        "missing",
        "orphan",
    ]
    text = whence("check", "-a", tmp_path)
    assert text.code == 1 and len(text.out.splitlines()) == 4 and f"span:{TRACE}-{'f' * 16}" in text.out
    ignore = [word for fault in ("cycle", "later", "missing", "orphan") for word in ("--ignore", fault)]
    assert whence("check", "-a", tmp_path, *ignore).code == 0
    assert len(whence("check", "-a", tmp_path, "--json", "--tolerance", "1h").json_lines) == 3
    assert whence("check", "-a", tmp_path, "--run", "another").code == 0


def test_check_has_nothing_to_say_of_a_sound_story(tmp_path: Path, whence: Ask) -> None:
    """Exit code 0."""
    a_story(tmp_path)
    answer = whence("check", "-a", tmp_path)
    assert answer.code == 0 and answer.out == "no faults in the causes of 6 events\n"


def test_last_tells_a_killed_run_from_a_finished_one(tmp_path: Path, whence: Ask) -> None:
    """That it was killed, what came last, and what was still open."""
    events = [
        an_event("turn_start", turn=1),
        an_event("task.started", task="a"),
        an_event("task.completed", task="a"),
        an_event("task.started", task="b", span="c" * 16),
        an_event("step", description="the very last"),
    ]
    an_archive(tmp_path / "killed", a_run(*events, finished=False))
    answer = whence("last", "-a", tmp_path / "killed")
    assert answer.code == 0 and "was killed or crashed" in answer.out and "the very last" in answer.out
    still = answer.out.split("still open\n")[1]
    assert (
        "turn_start" in still and still.count("task.started") == 1 and f"span:{TRACE}-{'c' * 16} never ended" in still
    )
    found = whence("last", "-a", tmp_path / "killed", "--json", "-n", 1).json
    assert found["state"] == "crashed" and [event["description"] for event in found["last_events"]] == ["the very last"]
    assert [event["type"] for event in found["open"]] == ["turn_start", "task.started"]

    an_archive(tmp_path / "finished", a_run(an_event("step")))
    assert "finished (ok)" in whence("last", "-a", tmp_path / "finished").out


def test_last_takes_the_newest_run_or_the_one_asked_for(tmp_path: Path, whence: Ask) -> None:
    """And says where to look when there is none of that id."""
    an_archive(tmp_path, [an_event(run="old", time=START), an_event(run="new", time=START + SECOND)])
    assert whence("last", "-a", tmp_path, "--json").json["run"] == "new"
    assert whence("last", "-a", tmp_path, "--json", "--run", "old").json["run"] == "old"
    answer = whence("last", "-a", tmp_path, "--run", "gone")
    assert answer.code == 1 and "whence runs" in answer.err


def test_a_hundred_causes_are_abbreviated_in_the_arrow(tmp_path: Path, whence: Ask) -> None:
    """A wide fan-in stays one line a hop."""
    causes = [an_event("cause", time=START + n) for n in range(100)]
    end = an_event("end", *causes)
    an_archive(tmp_path, [*causes, end])
    assert len(whence("effects", causes[-1].id, "-a", tmp_path).out.splitlines()) == 2
    lines = whence("why", end.id, "-a", tmp_path).out.splitlines()
    assert len(lines) == 101 and "1,2,3,4,… 100 in all ─▶" in lines[-1]
