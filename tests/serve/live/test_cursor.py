"""Cursors: text that says exactly how far an archive was read, short however many files there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples
from whence.archive.names import Stem
from whence.errors import DataError
from whence.serve.live.cursor import Known, Present, Track, known, mark_of, parse_cursor, resume

BEGUN = 1_767_225_600_000_000


def a_stem(second: int, n: int = 1) -> Stem:
    return Stem(
        "logs", f"20260101T{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}.000000Z", "host.1.ab", n
    )


@pytest.mark.parametrize(
    "text", ["", "1", "nonsense", "1.0.AAAAAAAA.short", "3.0.AAAAAAAA", "1.0.AAAAAAAA" + "." * 70_000]
)
def test_what_is_no_cursor_is_refused_with_what_to_do(text: str) -> None:
    """Made up text never begins anywhere."""
    with pytest.raises(DataError, match="no cursor; give the id of a message"):
        parse_cursor(text)


def test_a_cursor_stays_short_however_many_files_were_read() -> None:
    """Files that were read to their end are one moment and one digest."""
    track = Track()
    for second in range(10_000):
        track.learn(f"s{second}", known(a_stem(second)), over=second < 9_999)
    track.settle(BEGUN + 20_000_000_000, now=True)
    track.move("s9999", 123_456)
    assert len(track.text()) < 60


def test_a_cursor_stays_short_while_many_files_are_being_read() -> None:
    """Of files still to be read only the moment is said."""
    track = Track(whole=True)
    for second in range(1_000):
        track.learn(f"s{second}", known(a_stem(second)))
    longest = 0
    for second in range(1_000):
        track.move(f"s{second}", 10)
        track.finish(f"s{second}")
        track.settle(BEGUN + 20_000_000_000)
        longest = max(longest, len(track.text()))
    assert longest < 300


Read = st.sampled_from(["unread", "part", "over"])


@examples(100)
@given(
    ours=st.lists(st.tuples(st.integers(0, 50), Read), max_size=40),
    others=st.lists(Read, max_size=5),
    latest=st.integers(0, 60),
    moved=st.lists(st.tuples(st.integers(0, 39), Read), max_size=10),
    later=st.integers(0, 5),
)
def test_reading_goes_on_exactly_where_it_was(
    ours: list[tuple[int, str]], others: list[str], latest: int, moved: list[tuple[int, str]], later: int
) -> None:
    """Whatever was read of whichever files, and however often the moment was moved: each goes on at its own offset."""
    track = Track()
    all_known: dict[object, Known] = {}
    state: dict[object, tuple[int, bool]] = {}
    for n, (second, read) in enumerate(ours):
        stem = a_stem(second, n + 1)
        all_known[stem.text] = known(stem)
        state[stem.text] = (0 if read == "unread" else 77, read == "over")
    for n, read in enumerate(others):
        all_known[(1, n)] = Known(mark_of(f"other-{n}"), None)
        state[(1, n)] = (0 if read == "unread" else 55, False)
    for key, (offset, over) in state.items():
        track.learn(key, all_known[key], offset, over=over)  # type: ignore[arg-type]
    track.settle(BEGUN + latest * 1_000_000, now=True)
    keys = [key for key in state if isinstance(key, str)]
    for at, read in moved:
        if keys and read != "unread" and not state[keys[at % len(keys)]][1]:
            key = keys[at % len(keys)]
            state[key] = (99, read == "over")
            track.move(key, 99)
            if read == "over":
                track.finish(key)
    for n in range(later):
        stem = a_stem(latest + 1 + n, 1000 + n)
        all_known[stem.text] = known(stem)
        state[stem.text] = (0, False)
    text = track.text()
    assert parse_cursor(text).within is None
    present = [Present(key, one, False) for key, one in all_known.items()]  # type: ignore[arg-type]
    found = resume(parse_cursor(text), present, [], lambda stem: None)
    assert found.notices == []
    for key, (offset, over) in state.items():
        position = found.positions[key]  # type: ignore[index]
        assert position.over == over
        assert over or position.offset == offset


def test_files_that_came_or_went_behind_the_moment_are_told() -> None:
    """What cannot be resumed exactly is never passed over in silence."""
    track = Track()
    for second in range(3):
        track.learn(a_stem(second).text, known(a_stem(second)), over=True)
    track.settle(BEGUN + 10_000_000, now=True)
    cursor = parse_cursor(track.text())
    present = [Present(a_stem(second).text, known(a_stem(second)), False) for second in range(3)]
    assert resume(cursor, present, [], lambda stem: None).notices == []
    late = Present(a_stem(1, 9).text, known(a_stem(1, 9)), False)
    for changed in ([*present, late], present[1:]):
        (notice,) = resume(cursor, changed, [], lambda stem: None).notices
        assert (notice.name, notice.data["reason"]) == ("missed", "changed")


def test_a_file_that_is_gone_is_told_unless_it_was_read_to_its_end() -> None:
    """Removed by hand, it leaves no tombstone that would say what it held."""
    for over in (False, True):
        track = Track()
        track.learn("a", known(a_stem(5)), 10, over=over)
        notices = resume(parse_cursor(track.text()), [], [], lambda stem: None).notices
        assert [one.data["reason"] for one in notices] == ([] if over else ["gone"])


def test_a_place_within_a_line_is_kept() -> None:
    """So many events of a line were given, and the rest not."""
    track = Track()
    for key, second in (("a", 1), ("b", 2)):
        track.learn(key, known(a_stem(second)), 10)
    cursor = parse_cursor(track.text("a", 10, 3))
    assert cursor.within == (known(a_stem(1)).mark, 3)
    assert dict(cursor.named) == {known(a_stem(1)).mark: 10, known(a_stem(2)).mark: 10}
