"""Recording for a program that knows nothing of whence: `configure` from the environment, then stock instrumentation."""

import logging
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from whence.event import names
from whence.record.configure import configure
from whence.record.identity import new_run_id

logger = logging.getLogger("whence.record")

FOLDER: Final = Path(__file__).parent
OURS: Final = frozenset({"logging"})
"""Instrumentations whose work `configure` does itself: a second handler would record every log line twice."""


def environment_for(given: Mapping[str, str], archive: Path, run: str | None) -> dict[str, str]:
    """The environment of a program under `whence run`: where to record, under which run, and this folder on its path.

    What the user has set counts before all but where and what this run is. SIGTERM, by which services are stopped, ends the
    run in order, unless the program handles it itself. The exporter variables serve programs that set OpenTelemetry up
    themselves, by `opentelemetry-instrument` or in code.
    """
    run = run or given.get("WHENCE_RUN") or new_run_id()
    path = [str(FOLDER), *filter(None, [given.get("PYTHONPATH")])]
    resource = [*filter(None, [given.get("OTEL_RESOURCE_ATTRIBUTES")]), f"{names.RUN}={run}"]
    return {
        "OTEL_TRACES_EXPORTER": "whence",
        "OTEL_LOGS_EXPORTER": "whence",
        "OTEL_METRICS_EXPORTER": "whence",
        "WHENCE_HANDLE_SIGTERM": "true",
        **given,
        "WHENCE_ARCHIVE": str(archive.absolute()),
        "WHENCE_RUN": run,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(resource),
        "PYTHONPATH": os.pathsep.join(path),
    }


def start() -> None:
    """Begin recording from the environment, and switch on the instrumentation packages that are installed."""
    configure()
    for entry in _instrumentations(os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")):
        try:
            entry.load()().instrument()
        except Exception as trouble:  # noqa: BLE001 - one instrumentation's trouble is not the program's
            logger.warning("whence could not switch on the %r instrumentation: %r", entry.name, trouble)


def _instrumentations(disabled: str) -> Iterator[EntryPoint]:
    """Those installed, not disabled, and whose instrumented library is there in a version they know."""
    try:
        from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts
    except ImportError:
        return  # no instrumentation package is installed: spans and logs the program makes itself are still recorded
    off = {name.strip() for name in disabled.split(",")}
    for entry in entry_points(group="opentelemetry_instrumentor"):
        if entry.name in OURS or entry.name in off or "*" in off or entry.dist is None:
            continue
        if get_dist_dependency_conflicts(entry.dist) is None:
            yield entry
