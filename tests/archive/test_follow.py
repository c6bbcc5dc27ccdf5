"""Following: every complete line once, while files rotate, are sealed and compressed, by whoever writes them."""

import threading
from pathlib import Path

from build_archive import a_line, some_lines, uid_of, write_archive
from build_examples import often
from waiting import until
from whence.archive.follow import follow
from whence.archive.writer import ArchiveWriter, WriterOptions


class Follower:
    """A thread that follows an archive; `stop` ends it and gives what it saw."""

    def __init__(self, directory: Path, *, from_start: bool = True, poll_seconds: float = 0.002) -> None:
        self.seen: list[str] = []
        self._stop = threading.Event()
        self._lines = follow(directory, from_start=from_start, stop=self._stop, poll_seconds=poll_seconds)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for line in self._lines:
            self.seen.append(uid_of(line.data))

    def stop(self) -> list[str]:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.seen


def test_followers_see_each_line_once_while_files_change_form(tmp_path: Path) -> None:
    """Two followers, two writers, several groups, rotation and compression every few milliseconds: nothing missing or twice."""
    count = often(700, 20_000)
    options = WriterOptions(rotate_bytes=4_000, compress_over=0, probe_seconds=0.01)
    followers = [Follower(tmp_path), Follower(tmp_path, poll_seconds=0.02)]
    writers = [ArchiveWriter(tmp_path, options) for _ in range(2)]

    def write(n: int) -> None:
        for i in range(count):
            writers[n].append(f"group-{i % 3}", "logs", [a_line(f"{n}-{i}", size=100)])
        assert writers[n].close(60).reason is None

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"{n}-{i}" for n in range(2) for i in range(count)}
    for follower in followers:
        seen = follower.stop()
        assert len(seen) == len(set(seen))
        assert set(seen) == expected
        for n in range(2):
            for group in range(3):
                mine = [
                    int(uid.split("-")[1])
                    for uid in seen
                    if uid.startswith(f"{n}-") and int(uid.split("-")[1]) % 3 == group
                ]
                assert mine == sorted(mine)
    assert list(tmp_path.rglob("*.zst"))


def test_without_the_old_lines_only_new_ones_come(tmp_path: Path) -> None:
    """What was there is skipped in every form; a line that was half written when following began is given when it is whole."""
    write_archive(tmp_path, some_lines(5), WriterOptions(compress_over=0), "packed")
    write_archive(tmp_path, some_lines(5), WriterOptions(compress_over=None), "plain")
    half = a_line("half").data
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_bytes(a_line("old").data + half[:20])
    writer = ArchiveWriter(tmp_path)
    writer.append("live", "logs", [a_line("before")])
    stop = threading.Event()
    lines = follow(tmp_path, stop=stop, poll_seconds=0.002)
    first: list[str] = []
    thread = threading.Thread(target=lambda: first.extend(uid_of(line.data) for line in lines))
    thread.start()
    until(lambda: "marker" in first or _append_again(writer))
    with foreign.open("ab") as file:
        file.write(half[20:])
    writer.append("live", "logs", [a_line("after")])
    writer.append("new", "logs", [a_line("new")])
    writer.close()
    until(lambda: {"half", "after", "new"} <= set(first))
    stop.set()
    thread.join()
    assert [uid for uid in first if not uid.startswith("marker")] in (
        ["half", "after", "new"], ["after", "new", "half"], ["half", "new", "after"], ["after", "half", "new"],
    )  # fmt: skip


def _append_again(writer: ArchiveWriter) -> bool:
    """Mark until the follower has begun: it may have taken the first marker for an old line."""
    writer.append("marker", "logs", [a_line("marker")])
    return False


def test_a_directory_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """Following may begin before the program does."""
    follower = Follower(tmp_path / "later")
    write_archive(tmp_path / "later", some_lines(3))
    until(lambda: len(follower.seen) == 3)
    assert follower.stop() == ["0", "1", "2"]


def test_bad_lines_do_not_hold_up_the_good_ones(tmp_path: Path) -> None:
    """Garbage is passed over, an unfinished line waited for."""
    file = tmp_path / "x.jsonl"
    file.write_bytes(a_line("1").data + b"garbage\n\0\0\0\n")
    follower = Follower(tmp_path)
    until(lambda: follower.seen == ["1"])
    with file.open("ab") as open_file:
        open_file.write(a_line("2").data + a_line("3").data[:-1])
    until(lambda: follower.seen == ["1", "2"])
    with file.open("ab") as open_file:
        open_file.write(b"\n")
    until(lambda: follower.seen == ["1", "2", "3"])
    assert follower.stop() == ["1", "2", "3"]


def test_files_that_others_rotate_are_followed(tmp_path: Path) -> None:
    """The Collector renames its file and begins anew; others copy and cut: no line comes twice."""
    file = tmp_path / "logs.json"
    file.write_bytes(a_line("1").data)
    follower = Follower(tmp_path)
    until(lambda: follower.seen == ["1"])
    file.rename(tmp_path / "logs-2026.json")
    file.write_bytes(a_line("2").data)
    until(lambda: follower.seen == ["1", "2"])
    with file.open("r+b") as open_file:
        open_file.truncate(0)
        open_file.write(a_line("3", run="other").data[:-1])
    with file.open("ab") as open_file:
        open_file.write(b"\n")
    until(lambda: "3" in follower.seen)
    assert follower.stop() == ["1", "2", "3"]
