"""Who gives events waits for those whom the server has not got round to, and for nobody who is slow by itself."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_live import Ear, a_feed, a_writer, write
from waiting import until
from whence.serve.live.listener import Listener
from whence.serve.live.messages import Given, Notice
from whence.serve.live.room import Room, Standing, is_ahead
from whence.serve.live.subscriber import ALL, Terms

QUICK, OWED, SLOW = Standing(0.1, False), Standing(0.6, False), Standing(0.9, True)
STANDINGS = st.lists(st.builds(Standing, st.floats(0, 1), st.booleans()), max_size=20)


@pytest.mark.parametrize(
    ("standings", "ahead"),
    [
        ([], False),
        ([QUICK], False),
        ([OWED, *[QUICK] * 9], True),
        ([SLOW, *[QUICK] * 9], False),
        ([SLOW, QUICK], False),
        ([SLOW], True),
        ([*[SLOW] * 9, QUICK], True),
        ([*[SLOW] * 6, *[QUICK] * 4], False),
    ],
)
def test_who_is_waited_for(standings: list[Standing], ahead: bool) -> None:
    """Each one whom the server owes much; clients that are slow only where nearly all of them are."""
    assert is_ahead(standings) is ahead


@given(STANDINGS, st.floats(0, 1))
def test_one_slow_client_more_never_holds_up_three_quick_ones(standings: list[Standing], full: float) -> None:
    """Whoever else there is: where it went on before, it goes on beside one that is slow and three that are not."""
    if not is_ahead(standings):
        assert not is_ahead([*standings, Standing(full, True), QUICK, QUICK, QUICK])


def test_patience_ends_and_begins_anew_with_who_has_caught_up() -> None:
    """Whoever stands how, it goes on after so long; until all was given without waiting, at once."""
    now, looks = 0.0, 0

    def full() -> Iterator[Standing]:
        nonlocal now, looks
        now, looks = now + 1.0, looks + 1
        yield OWED

    room = Room(lambda: now, patience=5.0)
    room.wait(full)
    assert 5 <= looks <= 7
    room.caught_up()
    room.wait(full)
    assert looks <= 8
    room.caught_up()
    room.caught_up()
    looks = 0
    room.wait(full)
    assert looks >= 5


def test_closing_ends_every_wait() -> None:
    """A server that stops waits for nobody."""
    room = Room(lambda: 0.0, patience=1.0)
    waiting = threading.Thread(target=room.wait, args=(lambda: [OWED],))
    waiting.start()
    room.close()
    waiting.join(60)
    assert not waiting.is_alive()


def test_whom_the_server_has_not_got_round_to_misses_nothing(tmp_path: Path) -> None:
    """Four times what the buffer holds: the feed reads on as it is taken, and what it has not read is in the archive."""
    names = [f"e{n:04d}" for n in range(1_000)]
    with a_writer(tmp_path) as writer, a_feed(tmp_path) as feed:
        owed = Listener(feed, ALL, terms=Terms(buffer=250))
        assert owed.catch_up() is None
        owed.subscriber.is_told = True
        write(writer, names)
        found: list[str] = []
        while len(found) < len(names):
            until(lambda: owed.subscriber.waiting > 0)
            messages = owed.take()
            assert not [one for one in messages if isinstance(one, Notice) and one.name == "missed"]
            found += [one.event.id for one in messages if isinstance(one, Given)]
        assert found == names
        owed.close()


def test_large_events_are_held_in_smaller_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded in bytes too, and what was pushed out is told as ever."""
    monkeypatch.setattr("whence.serve.live.subscriber.BYTES", 30_000)
    names = [f"e{n:02d}" for n in range(40)]
    with a_writer(tmp_path) as writer, a_feed(tmp_path) as feed:
        quick, slow = Ear(feed), Listener(feed, ALL)
        assert slow.catch_up() is None
        quick.joined.wait(60)
        for name in names:
            write(writer, [name], payload={"text": "x" * 5_000})
            until(lambda name=name: name in quick.ids)  # type: ignore[misc]
        messages = slow.take()
        assert isinstance(messages[0], Notice) and messages[0].name == "missed"
        given = [one.event.id for one in messages if isinstance(one, Given)]
        assert 1 <= len(given) <= 6 and given == names[-len(given) :]
        assert messages[0].data["count"] == len(names) - len(given)
        quick.stop()
        slow.close()
