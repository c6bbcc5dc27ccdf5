"""Where lines begin that have events since some time."""

import random
from pathlib import Path

import pytest

from build import START, an_event, append
from whence.archive.reader import Archive
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.index.engine import Engine
from whence.index.since import lines_since
from whence.otlp.decode import decode


@pytest.mark.parametrize("worthwhile", [0, 1 << 20], ids=["indexed", "read from the lines"])
def test_no_line_with_an_event_since_then_is_passed_over_and_others_are(tmp_path: Path, worthwhile: int) -> None:
    """Of closed and of open files, whose events are somewhat out of order; what is written afterwards is read too."""
    chance = random.Random(3)
    times = [START + n * 10 + chance.randrange(60) for n in range(300)]
    writer = ArchiveWriter(tmp_path / "a", WriterOptions(rotate_bytes=30_000))
    for n, time in enumerate(times):
        append(writer, [an_event("tick", id=f"E{n:04d}", time=time)])
    writer.sync(60)
    engine = Engine(tmp_path / "a", worthwhile=worthwhile)
    for since in (0, times[0], times[150], times[150] + 1, times[299], START + 10_000):
        begin = lines_since(engine.blocks(), since)
        passed, found = 0, set()
        for segment in Archive(tmp_path / "a").segments():
            passed += begin.get(segment.stem, 0)
            for line in segment.lines(start=begin.get(segment.stem, 0)):
                found |= {event.id for event in decode(line.data, line.place).events if event.time >= since}
        assert found == {f"E{n:04d}" for n, time in enumerate(times) if time >= since}
        assert (passed > 0) == (since > times[0] + 60), "what was before is passed over"
    begin = lines_since(engine.blocks(), START + 10_000)
    append(writer, [an_event("tick", id="late", time=START + 20_000)])
    writer.sync(60)
    last = Archive(tmp_path / "a").segments()[-1]
    assert b'"late"' in b"".join(line.data for line in last.lines(start=begin[last.stem]))
    assert writer.close(60).reason is None
