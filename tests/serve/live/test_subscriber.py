"""Subscribers who are slower than events come: told exactly what they missed, and in the end let go."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_live import Ear, a_feed, write
from waiting import until
from whence.archive.writer import ArchiveWriter
from whence.errors import StreamError
from whence.event.flat import format_time
from whence.event.model import Event
from whence.serve.live.feed import Feed
from whence.serve.live.listener import Listener
from whence.serve.live.messages import Given, Notice
from whence.serve.live.subscriber import ALL, Buffer, Subscriber, Terms


def some(first: int, count: int) -> list[Given]:
    """Events whose number is their time in seconds, and their cursor."""
    return [Given(Event(id=str(n), type="t", time=n * 10**9), f"c{n}") for n in range(first, first + count)]


def test_who_keeps_pace_gets_everything_and_hears_of_nothing() -> None:
    """The place moves on behind what was taken, and over what is for others."""
    buffer = Buffer(Terms(buffer=10), "c0")
    buffer.put(some(1, 5), "c5", 0.0)
    buffer.put([], "c6", 0.0)
    assert [one.cursor for one in buffer.take()] == ["c1", "c2", "c3", "c4", "c5"]
    assert buffer.place == "c6"
    buffer.put([], "c7", 0.0)
    assert (buffer.take(), buffer.place) == ([], "c7")


def test_what_does_not_fit_pushes_out_the_oldest_and_is_told_exactly() -> None:
    """How many, from when to when, and the place from which they can be had again."""
    buffer = Buffer(Terms(buffer=10), "c0")
    for n in range(1, 26):
        buffer.put(some(n, 1), f"c{n}", 0.0)
    said, slow, *given = buffer.take()
    assert isinstance(said, Notice) and isinstance(slow, Notice)
    assert said.name == "missed" and said.cursor == "c15"
    assert said.data["count"] == 15 and said.data["resume"] == "c0"
    assert (said.data["from"], said.data["to"]) == (format_time(10**9), format_time(15 * 10**9))
    assert slow.name == "slow"
    assert [one.cursor for one in given] == [f"c{n}" for n in range(16, 26)]
    assert buffer.take() == []


def test_a_part_of_many_that_came_at_once_can_make_room() -> None:
    """The bound holds for events, however many came together."""
    buffer = Buffer(Terms(buffer=10), "c0")
    buffer.put(some(1, 25), "c25", 0.0)
    said, _, *given = buffer.take()
    assert isinstance(said, Notice)
    assert (said.data["count"], said.cursor, given[0].cursor, len(given)) == (15, "c15", "c16", 10)


@settings(deadline=None)
@given(puts=st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=40), size=st.integers(1, 40))
def test_given_and_missed_are_together_all_there_was(puts: list[tuple[int, bool]], size: int) -> None:
    """Whatever comes in whichever portions: each event is given or counted as missed, once, and in its place."""
    buffer, n, found = Buffer(Terms(buffer=size), "c0"), 1, []
    for count, takes in puts:
        buffer.put(some(n, count), f"c{n + count - 1}", 0.0)
        n += count
        assert buffer.count <= size
        if takes:
            found += buffer.take(5)
    while more := buffer.take(5):
        found += more
    at = 0
    for one in found:
        if isinstance(one, Given):
            assert one.cursor == f"c{at + 1}"
            at += 1
        elif one.name == "missed":
            assert one.data["resume"] == f"c{at}"
            at += one.data["count"]
            assert one.cursor == f"c{at}"
            assert one.data["to"] == format_time(at * 10**9)
    assert at == n - 1
    assert buffer.place == f"c{n - 1}"


def test_who_stays_slow_is_let_go_with_what_is_not_given_any_more() -> None:
    """Full beyond the threshold for so long: one last message, which says where to go on."""
    now = 100.0
    subscriber = Subscriber(ALL, Terms(buffer=10, threshold=0.8, patience=30), lambda: now)
    subscriber.begin("c0")
    subscriber.put(some(1, 7), "c7")
    now += 1_000
    assert not subscriber.check()
    subscriber.put(some(8, 1), "c8")
    now += 29
    assert not subscriber.check()
    now += 1
    assert subscriber.check() and subscriber.ended
    (closing,) = subscriber.take()
    assert isinstance(closing, Notice)
    assert closing.name == "closing"
    assert (closing.data["missed"], closing.data["resume"], closing.data["reason"]) == (8, "c0", "too slow")


def test_who_takes_some_in_time_stays() -> None:
    """Below the threshold again, the time begins anew."""
    now = 0.0
    subscriber = Subscriber(ALL, Terms(buffer=10, patience=30), lambda: now)
    for n in range(1, 100):
        subscriber.put(some(n, 8), "c")
        now += 29
        assert not subscriber.check()
        assert [one for one in subscriber.take() if isinstance(one, Given)]


def test_a_slow_listener_of_a_real_feed_is_told_and_the_others_get_everything(tmp_path: Path) -> None:
    """One who takes nothing costs the others nothing; what was missed can be had from the place that was said."""
    writer = ArchiveWriter(tmp_path)
    names = [f"e{n:04d}" for n in range(400)]
    with a_feed(tmp_path) as feed:
        quick = Ear(feed)
        slow = Listener(feed, ALL, terms=Terms(buffer=50))
        assert slow.catch_up() is None
        quick.joined.wait(90)
        write(writer, names)
        until(lambda: len(quick.ids) == 400)
        until(lambda: slow.subscriber.waiting == 50)
        said = slow.take()
        notice = said[0]
        assert isinstance(notice, Notice)
        assert notice.data["count"] == 350
        assert [one.event.id for one in said if isinstance(one, Given)] == names[350:]
        again = Ear(feed, notice.data["resume"])
        until(lambda: len(again.ids) == 400)
        assert again.stop() == names
        assert quick.stop() == names
        slow.close()
    writer.close()


def test_there_is_room_for_so_many_and_no_more(tmp_path: Path) -> None:
    """One too many is refused in words, and a place that was left is free again."""
    feed = Feed(tmp_path, most=2)
    listeners = [Listener(feed, ALL) for _ in range(2)]
    with pytest.raises(StreamError, match="2 subscribers are there already"):
        Listener(feed, ALL)
    listeners[0].close()
    listeners[0].close()
    Listener(feed, ALL)
    feed.close()
    with pytest.raises(StreamError, match="the server is stopping"):
        Listener(feed, ALL)


def test_closing_the_feed_ends_every_listener(tmp_path: Path) -> None:
    """A server that stops lets nobody wait."""
    with a_feed(tmp_path) as feed:
        ears = [Ear(feed) for _ in range(3)]
        for ear in ears:
            ear.joined.wait(90)
    for ear in ears:
        until(lambda ear=ear: bool(ear.notices))  # type: ignore[misc]
        assert ear.notices[-1].name == "closing"
