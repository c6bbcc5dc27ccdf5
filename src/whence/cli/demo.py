"""`whence demo`: record the bundled simulation, and ask why its best bakery closed."""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from whence.archive.reader import Archive
from whence.cli.output import write
from whence.cli.town import AGENTS, DAYS, simulate
from whence.errors import ConfigError
from whence.record.configure import configure

RUN = "town"


def demo(
    archive: Annotated[Path, typer.Option("-a", "--archive", metavar="DIR", help="Where to record it.")] = Path(
        "whence-demo"
    ),
) -> None:
    """Record a simulation of 20 agents with a mystery in it, then ask why."""
    if (archive / RUN).is_dir():
        shutil.rmtree(archive / RUN)  # the demonstration's own run of an earlier time
    elif archive.exists() and not archive.is_dir():
        raise ConfigError(f"cannot record into {archive}: it is not a directory; name another with --archive")
    began = time.perf_counter()
    recorder = configure(archive=archive, run=RUN, service="town", logging=False, metrics=False)
    town = simulate(recorder.run)
    recorder.shutdown()
    took = time.perf_counter() - began
    events = list(Archive(archive).events(groups={RUN}))
    kinds = Counter(event.kind for event in events)
    story = ", ".join(f"{kinds[kind]} {kind}" for kind in ("milestone", "decision", "action", "state", "system"))
    write(
        [
            f"A town of {len(AGENTS)} agents lived {DAYS} days, recorded in {took:.1f} s: {len(events)} events",
            f"  ({story})",
            f"  in {archive}/, as plain OTLP JSON Lines",
            "",
        ]
    )
