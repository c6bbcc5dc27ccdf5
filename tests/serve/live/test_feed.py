"""The feed: everybody gets each event once, from wherever they begin, whatever becomes of the files meanwhile."""

import random
import threading
from pathlib import Path

from build import a_bare_archive, an_event, append
from build_examples import TORTURE
from build_live import TURNING, Ear, a_feed, write
from waiting import until
from whence.archive.removal import remove, settled_plan
from whence.archive.retention import Policy
from whence.archive.writer import ArchiveWriter
from whence.serve.live.messages import Given
from whence.serve.live.past import Start
from whence.serve.live.subscriber import View


def names_of(writer: str, count: int) -> list[str]:
    return [f"{writer}-{n:05d}" for n in range(count)]


def test_a_listener_hears_what_comes_after_it_began(tmp_path: Path) -> None:
    """What was there before is not given, what comes is, in its order."""
    writer = ArchiveWriter(tmp_path)
    write(writer, ["before"])
    with a_feed(tmp_path) as feed:
        ear = Ear(feed)
        ear.joined.wait(90)
        write(writer, names_of("a", 30))
        until(lambda: len(ear.ids) >= 30)
        assert ear.stop() == names_of("a", 30)
    writer.close()


def test_an_archive_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """Listening may begin before anything is recorded."""
    with a_feed(tmp_path / "later") as feed:
        ear = Ear(feed)
        ear.joined.wait(90)
        writer = ArchiveWriter(tmp_path / "later")
        write(writer, ["one"])
        until(lambda: ear.ids == ["one"])
        ear.stop()
        writer.close()


def test_everybody_gets_each_event_once_while_files_change_form_and_listeners_come_back(tmp_path: Path) -> None:
    """Two writers rotate, seal and compress; one listener stays, one reads all from the beginning, and one leaves in the
    middle of anything, to come back to another feed with its last cursor: nothing is missing, nothing comes twice."""
    count = 5_000 if TORTURE else 600
    writers = [ArchiveWriter(tmp_path, TURNING) for _ in range(2)]
    expected = {name for n in range(2) for name in names_of(str(n), count)}

    def record(n: int) -> None:
        for i, name in enumerate(names_of(str(n), count)):
            append(writers[n], [an_event("step", id=name, run=f"run-{i % 3}")])
        assert writers[n].close(60).reason is None

    back: list[str] = []
    with a_feed(tmp_path) as feed:
        stays, all_of_it = Ear(feed), Ear(feed, Start(since=0))
        stays.joined.wait(90)
        threads = [threading.Thread(target=record, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        place: str | None = None
        chance = random.Random(7)
        while len(back) < len(expected):
            with a_feed(tmp_path) as other:
                ear = Ear(other, Start(since=0) if place is None else place)
                want = min(chance.randrange(1, 150), len(expected) - len(back))
                until(lambda ear=ear, want=want: len(ear.ids) >= want)  # type: ignore[misc]
                ear.stop()
                given = [one for one in ear.heard if isinstance(one, Given)][:want]
                assert not ear.notices
                back += [one.event.id for one in given]
                place = given[-1].cursor
        for thread in threads:
            thread.join()
        until(lambda: len(stays.ids) >= len(expected) and len(all_of_it.ids) >= len(expected))
        for ids in (stays.stop(), all_of_it.stop(), back):
            assert len(ids) == len(set(ids))
            assert set(ids) == expected
            for n in range(2):
                for run in range(3):
                    mine = [name for name in ids if name[0] == str(n) and int(name[2:]) % 3 == run]
                    assert mine == sorted(mine)
        assert not stays.notices and not all_of_it.notices
    assert list(tmp_path.rglob("*.zst"))


def test_a_line_of_many_events_can_be_left_in_its_middle(tmp_path: Path) -> None:
    """Every event has a place of its own behind it, also where one line holds several."""
    events = [an_event(id=f"e{n}") for n in range(5)]
    first = events[0].data["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    for event in events[1:]:
        first += event.data["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    writer = ArchiveWriter(tmp_path)
    append(writer, events[:1])
    with a_feed(tmp_path) as feed:
        ear = Ear(feed, Start(since=0))
        until(lambda: len(ear.ids) == 5)
        ear.stop()
        for n in range(4):
            again = Ear(feed, ear.heard[-5:][n].cursor or "")
            until(lambda again=again, n=n: len(again.ids) == 4 - n)  # type: ignore[misc]
            assert again.stop() == [f"e{i}" for i in range(n + 1, 5)]
    writer.close()


def test_an_event_that_is_written_twice_is_given_once(tmp_path: Path) -> None:
    """A line written anew after trouble, and a span that shows a log event again, are no new events; across a restart too."""
    writer = ArchiveWriter(tmp_path)
    with a_feed(tmp_path) as feed:
        ear = Ear(feed)
        ear.joined.wait(90)
        write(writer, ["one", "one", "two"])
        until(lambda: ear.ids == ["one", "two"])
        place = ear.heard[-1].cursor
        ear.stop()
    write(writer, ["one", "two", "three"])
    with a_feed(tmp_path) as feed:
        ear = Ear(feed, place or "")
        until(lambda: "three" in ear.ids)
        assert ear.stop() == ["three"]
    writer.close()


def test_what_was_there_comes_in_the_order_of_time(tmp_path: Path) -> None:
    """Files of several processes are woven together by the times of their events."""
    writers = [ArchiveWriter(tmp_path) for _ in range(3)]
    for n in range(60):
        append(writers[n % 3], [an_event(id=f"{n:03d}")])
    for writer in writers:
        writer.close()
    with a_feed(tmp_path) as feed:
        ear = Ear(feed, Start(since=0))
        until(lambda: len(ear.ids) == 60)
        assert ear.stop() == [f"{n:03d}" for n in range(60)]


def test_each_has_a_view_of_their_own(tmp_path: Path) -> None:
    """A filter, and what may be shown, hold for one subscriber; its place moves on over what is not for it."""
    writer = ArchiveWriter(tmp_path)
    odd = View("odd", lambda event: event.id[-1] in "13579")
    with a_feed(tmp_path) as feed:
        everything, some = Ear(feed), Ear(feed, view=odd)
        everything.joined.wait(90)
        some.joined.wait(90)
        write(writer, names_of("a", 21))
        until(lambda: len(everything.ids) == 21 and len(some.ids) == 10)
        until(lambda: some.listener.place == everything.listener.place)
        some.stop()
        everything.stop()
    writer.close()


def test_files_by_other_writers_are_followed_too(tmp_path: Path) -> None:
    """A file that another collector appends to and renames is read on where it was left."""
    a_bare_archive(tmp_path, [an_event(id="x1"), an_event(id="x2")])
    with a_feed(tmp_path) as feed:
        ear = Ear(feed, Start(since=0))
        until(lambda: ear.ids == ["x1", "x2"])
        place = ear.heard[-1].cursor or ""
        ear.stop()
        with (tmp_path / "other.jsonl").open("ab") as file:
            file.write(an_event(id="x3").line)
        (tmp_path / "other.jsonl").rename(tmp_path / "other-1.jsonl")
        (tmp_path / "other.jsonl").write_bytes(an_event(id="y1").line)
        again = Ear(feed, place)
        until(lambda: len(again.ids) == 2)
        assert sorted(again.stop()) == ["x3", "y1"]
        assert not again.notices


def test_what_retention_removed_before_it_was_read_is_told(tmp_path: Path) -> None:
    """Who comes back too late is told how many events are gone, and from when to when."""
    writer = ArchiveWriter(tmp_path)
    write(writer, ["a1", "a2"])
    with a_feed(tmp_path) as feed:
        ear = Ear(feed, Start(since=0))
        until(lambda: ear.ids == ["a1", "a2"])
        place = ear.heard[-1].cursor or ""
        ear.stop()
    writer.close()
    late = ArchiveWriter(tmp_path)
    write(late, ["b1", "b2", "b3"])
    late.close()
    plan = settled_plan(tmp_path, Policy(days=1), now=4_000_000_000_000_000_000)
    assert all(
        one.trouble is None for one in remove(tmp_path, plan.going, 4_000_000_000_000_000_000, lambda going: None)
    )
    last = ArchiveWriter(tmp_path)
    write(last, ["c1"])
    with a_feed(tmp_path) as feed:
        ear = Ear(feed, place)
        until(lambda: "c1" in ear.ids)
        ear.stop()
        said = [one.data for one in ear.notices]
        assert [one["count"] for one in said] == [3]
        assert said[0]["reason"] == "removed" and said[0]["from"] < said[0]["to"]
    last.close()


def test_damage_is_told_and_holds_up_nobody(tmp_path: Path) -> None:
    """A line that is no OTLP is named, and what stands around it is given."""
    writer = ArchiveWriter(tmp_path)
    write(writer, ["a1"])
    with a_feed(tmp_path) as feed:
        ear = Ear(feed)
        ear.joined.wait(90)
        (tmp_path / "other.jsonl").write_bytes(b'{"no": "otlp"}\n' + an_event(id="good").line)
        until(lambda: "good" in ear.ids and bool(ear.notices))
        ear.stop()
        assert "other at byte 0" in ear.notices[0].data["detail"]
    writer.close()
