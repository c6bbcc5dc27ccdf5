"""What is kept of segments is what asking anew gives."""

from pathlib import Path

import pytest

from build import START, an_event, append
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.event.kinds import Severity
from whence.filter.parse import parse
from whence.index import summaries
from whence.index.engine import Engine
from whence.index.histories import histories

FILTERS = ("time >= '1970-01-01'", "run = 'r1'", "type = tick", "severity >= ERROR", "run = 'none'")


@pytest.mark.parametrize("few", [0, 256], ids=["all columns at once", "blocks by themselves"])
def test_runs_are_those_of_all_events_while_an_archive_grows(
    tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of closed and open files, an event that stands twice counted once; by any filter, asked again and again."""
    monkeypatch.setattr(summaries, "_FEW_BLOCKS", few)
    writer = ArchiveWriter(tmp_path / "a", WriterOptions(rotate_bytes=4_000))
    engine, written = Engine(tmp_path / "a", worthwhile=0), []
    for n in range(40):
        severity = Severity.ERROR if n % 7 == 0 else Severity.INFO
        written.append(
            an_event("tick" if n % 3 else "tock", id=f"E{n:02d}", run=f"r{n // 6}", time=START + n, severity=severity)
        )
        append(writer, [written[-1], written[n // 2]] if n % 5 == 0 else [written[-1]])
        if n % 9 == 8:
            writer.sync(60)
            for text in FILTERS:
                tree = parse(text, now=0)
                matching = list(engine.events(engine.where(tree)))
                for _ in range(2):
                    found = summaries.histories(engine, tree)
                    assert {run: (one.events, one.errors, one.start, one.last) for run, one in found.items()} == {
                        run: (one.events, one.errors, one.start, one.last) for run, one in histories(matching).items()
                    }
            everything = {run: one.services for run, one in histories(engine.events()).items()}
            assert {run: one.services for run, one in summaries.histories(engine).items()} == everything
    assert writer.close(60).reason is None
