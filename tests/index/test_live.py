"""Answers while another process writes: nothing missing that was written before the question, nothing twice, whoever asks."""

import subprocess
import sys
import threading
from pathlib import Path

import whence
from whence.archive.reader import Archive

WRITER = """
import sys
from pathlib import Path
from build import START, an_event, append
from whence.archive.writer import ArchiveWriter, WriterOptions

writer = ArchiveWriter(Path(sys.argv[1]), WriterOptions(rotate_bytes=20_000, compress_over=0))
for turn in range(400):
    append(writer, [an_event("tick", id=f"E{turn:04d}", turn=turn, time=START + turn)])
    print(turn + 1, flush=True)
assert writer.close(60).reason is None
"""


def test_answers_are_a_whole_beginning_of_what_another_process_writes(tmp_path: Path) -> None:
    """Three threads ask one open archive while its files grow, are closed, and are compressed."""
    archive = tmp_path / "archive"
    archive.mkdir()
    answers = whence.open(archive)
    written, asked, faults, done = [0], [0], [], threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                least = written[0]
                turns = [event.turn for event in answers.events("type = tick")]
                assert turns == list(range(len(turns)))
                assert len(turns) >= least
                assert answers.count() >= least
                asked[0] += 1
        except BaseException as fault:
            faults.append(fault)

    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(archive)], stdout=subprocess.PIPE, text=True, env=environment
    )
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            written[0] = int(line)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        done.set()
        for thread in threads:
            thread.join(60)
    assert not faults
    assert asked[0]
    assert written[0] == 400
    assert [event.turn for event in answers.events()] == list(range(400))
    assert answers.count() == len(list(Archive(archive).events())) == 400
