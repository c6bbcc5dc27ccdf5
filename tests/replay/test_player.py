"""Replays of real archives: what is given, in what order and when, whatever is asked for meanwhile."""

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest

import whence
from build import START, an_event
from build_live import write
from build_replay import SECOND, Heard, an_archive, events_apart, going
from waiting import until
from whence.archive.writer import ArchiveWriter
from whence.errors import ConfigError, FilterError
from whence.event.model import Event
from whence.filter.tree import Everything
from whence.index.engine import Engine
from whence.replay.checkpoints import Checkpoints
from whence.replay.player import Player, Terms
from whence.replay.source import Matching, Place


def test_everything_is_given_in_the_order_of_time_and_id(tmp_path: Path) -> None:
    """However it was written, as fast as possible."""
    events = [an_event("step", id=f"e{n:03d}", time=START + n // 3 * SECOND) for n in range(60)]
    shuffled = list(events)
    random.Random(5).shuffle(shuffled)
    heard = Heard()
    assert whence.play(an_archive(tmp_path, shuffled), heard, speed="max").run() == 60
    assert heard.ids == [event.id for event in events]
    assert heard.events == list(whence.open(tmp_path).events())


def test_events_are_as_far_from_each_other_as_the_speed_says(tmp_path: Path) -> None:
    """100 seconds take a tenth of a second at 1,000x, and never less; none is given before it is due."""
    given: list[tuple[int, int]] = []
    before = time.monotonic_ns()
    player = whence.play(
        an_archive(tmp_path, events_apart(11, 10 * SECOND)),
        lambda event: given.append((event.time, time.monotonic_ns())),
        speed=1000,
    )
    assert player.run() == 11
    for at, when in given:
        assert when - before >= (at - given[0][0]) // 1000


def test_a_filter_a_run_a_time_or_a_correlation_choose(tmp_path: Path) -> None:
    """All that is said must hold; what cannot be read is refused before anything is given."""
    events = [*events_apart(5, run="a"), *events_apart(5, run="b")]
    an_archive(tmp_path, [*events, an_event("step", id="c", correlation="order-1", time=START)])

    def ids(*filter: str, **wanted: str) -> list[str]:
        heard = Heard()
        whence.play(tmp_path, heard, *filter, **wanted, speed="max").run()  # type: ignore[arg-type]
        return heard.ids

    assert ids(run="a") == [f"a-{n:04d}" for n in range(5)]
    assert ids("id LIKE '*-0003'") == ["a-0003", "b-0003"]
    assert ids(since="2026-01-01T00:00:03Z", run="b") == ["b-0003", "b-0004"]
    assert ids(until="2026-01-01T00:00:01Z", run="b") == ["b-0000", "b-0001"]
    assert ids(correlation="order-1") == ["c"]
    with pytest.raises(FilterError):
        ids("turn >")
    with pytest.raises(ConfigError, match=r"expected 0\.1 to 1000"):
        whence.play(tmp_path, print, speed=5000)


def test_a_correlation_with_its_related_events_is_all_that_led_to_it_and_came_of_it(tmp_path: Path) -> None:
    """By recorded causes, across runs; the events of others that have nothing to do with it stay out."""
    root = an_event("cause", id="root", run="other", time=START)
    order = an_event("order", root, id="order", correlation="o1", time=START + SECOND)
    effect = an_event("effect", order, id="effect", run="third", time=START + 2 * SECOND)
    last = an_event("last", effect, id="last", run="third", time=START + 3 * SECOND)
    aside = an_event("aside", root, id="aside", time=START + SECOND)
    an_archive(tmp_path, [root, order, effect, last, aside])
    heard = Heard()
    whence.play(tmp_path, heard, correlation="o1", related=True, speed="max").run()
    assert heard.ids == ["root", "order", "effect", "last"]


def test_it_stands_still_steps_moves_and_goes_on(tmp_path: Path) -> None:
    """Paused it gives nothing but what is stepped; moved back it gives again, moved on it leaves out."""
    an_archive(tmp_path, events_apart(10, 3600 * SECOND))
    heard = Heard()
    engine = Engine(tmp_path)
    player = Player(Matching(engine, Everything()), heard, Terms(paused=True, stays=True))
    ids = [f"run-1-{n:04d}" for n in range(10)]
    with going(player):
        assert player.state == "paused"
        player.step()
        until(lambda: heard.ids == ids[:1])
        player.step(3)
        until(lambda: heard.ids == ids[:4])
        assert player.state == "paused" and player.given == 4
        player.seek(Place(START + 7 * 3600 * SECOND))
        player.step(2)
        until(lambda: heard.ids == [*ids[:4], "run-1-0007", "run-1-0008"])
        player.seek(None)
        player.resume()
        until(lambda: len(heard.ids) == 7)
        assert heard.ids[-1] == ids[0]
        player.set_speed(None)
        until(lambda: player.state == "finished")
        assert heard.ids[6:] == ids
        player.seek(Place(START + 9 * 3600 * SECOND))
        until(lambda: heard.ids[6:] == [*ids, ids[9]])
    assert player.state == "stopped"


def test_a_checkpoint_goes_on_behind_what_was_given_also_after_a_failure(tmp_path: Path) -> None:
    """Nothing is left out: what the function did not take is given to the next."""
    an_archive(tmp_path, events_apart(10))
    taken: list[str] = []

    def fails(event: Event) -> None:
        if len(taken) == 4:
            raise OSError("no more")
        taken.append(event.id)

    with pytest.raises(OSError, match="no more"):
        whence.play(tmp_path, fails, speed="max", checkpoint="nightly").run()
    heard = Heard()
    assert whence.play(tmp_path, heard, speed="max", checkpoint="nightly").run() == 6
    assert taken + heard.ids == [f"run-1-{n:04d}" for n in range(10)]
    assert whence.play(tmp_path, heard, speed="max", checkpoint="nightly").run() == 0
    writer = ArchiveWriter(tmp_path)
    write(writer, ["zlater"], time=START + 20 * SECOND)
    writer.close()
    assert whence.play(tmp_path, heard, speed="max", checkpoint="nightly").run() == 1
    with pytest.raises(ConfigError, match="it was made of 'everything'"):
        whence.play(tmp_path, heard, run="run-1", checkpoint="nightly")
    assert Checkpoints(tmp_path).names() == ["nightly"]


def test_shifted_events_happen_now_and_keep_their_ids(tmp_path: Path) -> None:
    """The first has the time at which it is given; as fast as possible the distances stay."""
    an_archive(tmp_path, events_apart(3, 10 * SECOND))
    before = time.time_ns()
    heard = Heard()
    whence.play(tmp_path, heard, speed="max", now=True).run()
    times = [event.time for event in heard.events]
    assert before <= times[0] <= time.time_ns()
    assert [at - times[0] for at in times] == [0, 10 * SECOND, 20 * SECOND]
    assert heard.ids == ["run-1-0000", "run-1-0001", "run-1-0002"]
    fast = Heard()
    whence.play(tmp_path, fast, speed=1000, now=True).run()
    times = [event.time for event in fast.events]
    assert all(9_000_000 < later - one < 11_000_000 for one, later in pairwise(times))
