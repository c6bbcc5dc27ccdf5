"""Writes and ends without closing, also from an atexit handler; says nothing on stderr.

Usage: forgetful_writer.py DIRECTORY
"""

import atexit
import sys
from pathlib import Path

from build_archive import a_line
from whence.archive.writer import ArchiveWriter, WriterOptions

writer = ArchiveWriter(Path(sys.argv[1]), WriterOptions(sync_seconds=0.001))
late = ArchiveWriter(Path(sys.argv[1]))


def at_the_end() -> None:
    for n in range(500, 1_000):
        late.append("run", "logs", [a_line(str(n))])
    late.close()


atexit.register(at_the_end)
for n in range(500):
    writer.append("run", "logs", [a_line(str(n))])
