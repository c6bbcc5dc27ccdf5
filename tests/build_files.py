"""Builders: files of OTLP and text lines, a receiver of files that runs beside the test, and a pipeline that remembers."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from waiting import until
from whence.collect.batch import LEVELS, Batch, Receipt
from whence.collect.component import Host, Plug
from whence.collect.outcome import Refused
from whence.collect.receivers import otlp_json_file
from whence.collect.telemetry import Telemetry

SECONDS = 60.0


def a_line(*bodies: str, signal: str = "logs", pad: int = 0) -> bytes:
    """An OTLP JSON line of one signal whose records (bodies of logs, names of spans and metrics) are these."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "x" * pad or "test"}}]}
    records: list[dict[str, Any]]
    if signal == "logs":
        records = [{"timeUnixNano": "1", "body": {"stringValue": body}} for body in bodies]
    elif signal == "traces":
        records = [{"traceId": "ab" * 16, "spanId": f"{n + 1:016x}", "name": body} for n, body in enumerate(bodies)]
    else:
        point = {"timeUnixNano": "1", "asInt": "3"}
        records = [{"name": body, "gauge": {"dataPoints": [point]}} for body in bodies]
    resources, scopes, names = LEVELS[signal]  # type: ignore[index]
    return orjson.dumps({resources: [{"resource": resource, scopes: [{names: records}]}]}) + b"\n"


def lines_of(prefix: str, count: int, pad: int = 0) -> bytes:
    """So many lines of one log record each."""
    return b"".join(a_line(f"{prefix}-{n}", pad=pad) for n in range(count))


class Pipeline:
    """Remembers what it took; refuses while `failure` is set, or what `refuses` says of."""

    def __init__(self) -> None:
        self.kept: list[Batch] = []
        self.failure: Exception | None = None
        self.unacceptable: Callable[[Batch], Exception | None] = lambda batch: None
        self.offered = 0
        self.gate = threading.Event()
        self.gate.set()

    def consume(self, batch: Batch) -> Receipt:
        """Takes it, or raises."""
        self.offered += 1
        assert self.gate.wait(SECONDS)
        failure = self.failure or self.unacceptable(batch)
        if failure:
            raise failure
        self.kept.append(batch.opened())
        return Receipt()

    def refuse(self) -> None:
        """From now on, for now."""
        self.failure = Refused("full", 0.01)

    @property
    def records(self) -> list[dict[str, Any]]:
        """Every record taken, in order."""
        found = []
        for batch in list(self.kept):
            resources, scopes, records = LEVELS[batch.signal]
            for resource in (batch.tree or {}).get(resources, ()):
                for scope in resource.get(scopes, ()):
                    found += scope.get(records, ())
        return found

    @property
    def said(self) -> list[str]:
        """The body or name of each."""
        return [one["name"] if "name" in one else one["body"].get("stringValue", "") for one in self.records]


class Reading:
    """A receiver of files that runs."""

    def __init__(self, receiver: Any, host: Host, pipeline: Pipeline) -> None:
        self.receiver = receiver
        self.host = host
        self.pipeline = pipeline

    @property
    def said(self) -> list[str]:
        """What the pipeline took."""
        return self.pipeline.said

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for it."""
        until(condition, said=lambda: f"taken: {self.said[-20:]}")

    def has(self, count: int) -> list[str]:
        """Wait until there are so many records, and a few looks longer; what they say."""
        self.until(lambda: len(self.said) >= count)
        self.rounds()
        assert len(self.said) == count, self.said
        return self.said

    def rounds(self, count: int = 4) -> None:
        """Wait until the receiver has looked so many times more."""
        tailing = self.receiver._tailing
        before = tailing.looks
        self.until(lambda: tailing.looks >= before + count)

    def counted(self, name: str) -> float:
        """A metric's sum."""
        return sum(
            sample.value
            for family in self.host.telemetry.families()
            if family.name == name
            for sample in family.samples
        )


@contextmanager
def reading(
    directory: Path,
    *include: str,
    pipeline: Pipeline | None = None,
    plug: Plug = otlp_json_file.PLUG,
    signals: tuple[str, ...] = ("logs", "traces", "metrics"),
    **settings: Any,
) -> Iterator[Reading]:
    """Read `directory`/include; positions in `directory`/state. Looks every 10 ms, from the beginning unless told otherwise."""
    given: Mapping[str, Any] = {
        "include": [str(directory / one) for one in include],
        "poll_interval": "10ms",
        "start_at": "beginning",
        "retry_on_failure": {"initial_interval": "10ms"},
        **settings,
    }
    host = Host("files", Telemetry(), logging.getLogger("whence.collect.files"), directory / "state")
    pipeline = pipeline or Pipeline()
    receiver = plug.build(plug.settings.model_validate(given), host, dict.fromkeys(signals, pipeline))
    receiver.start(host)
    try:
        yield Reading(receiver, host, pipeline)
    finally:
        receiver.stop(host.monotonic() + SECONDS)
