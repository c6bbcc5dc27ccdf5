"""`whence demo`: record the bundled simulation, and ask why its best bakery closed."""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer

from whence.cli.output import write
from whence.cli.reading import open_archive
from whence.cli.town import AGENTS, DAYS, simulate
from whence.cli.why import why
from whence.errors import ConfigError
from whence.record.configure import configure, shutdown

RUN: Final = "town"


def demo(
    archive: Annotated[Path, typer.Option("-a", "--archive", metavar="DIR", help="Where to record it.")] = Path(
        "whence-demo"
    ),
) -> None:
    """Record a simulation of 20 agents with a mystery in it, then ask why."""
    if archive.exists() and not archive.is_dir():
        raise ConfigError(f"cannot record into {archive}: it is not a directory; name another with --archive")
    shutil.rmtree(archive / RUN, ignore_errors=True)  # what the demonstration recorded an earlier time
    began = time.perf_counter()
    town = simulate(configure(archive=archive, run=RUN, service="town", verbosity="state", logging=False).run)
    shutdown()
    took = time.perf_counter() - began
    kinds = Counter(event.kind for event in open_archive(archive).events())
    write(
        [
            f"{len(AGENTS)} agents lived {DAYS} days in a town. Recorded: {kinds.total()} events in {took:.1f} s,",
            f"  {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}.",
        ]
    )
    for baker, closing in town.closed.items():
        write(["", f"{baker}, the best bakery in town, closed. Nobody in town could say why:", ""])
        write([f"$ whence why -a {archive} {closing}"])
        why(str(closing), archive=archive)
    write(
        [
            "",
            "More to ask:",
            f"  whence log -a {archive} --kind decision       what everybody decided",
            f"  whence effects -a {archive} ID                what an event led to",
            f"  jq . {archive}/{RUN}/logs-*.jsonl | less       the archive itself is plain OTLP JSON Lines",
        ]
    )
