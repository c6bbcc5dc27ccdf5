"""A made-up archive of any size, written as OTLP lines: many runs and agents, causal chains, errors, skewed attributes.

The law: the same arguments give the same events. `python -m benchmarks.generate DIR COUNT` makes one.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.otlp.encode import Line

START: Final = 1_780_000_000_000_000_000
PER_RUN: Final = 50_000
PER_LINE: Final = 100
AGENTS: Final = 200
_STEP: Final = 2_000_000
"""Nanoseconds from one event to the next."""
_BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TYPES: Final = (
    ("action", 40), ("decision", 15), ("state_change", 15), ("task.started", 8), ("task.completed", 7), ("turn_start", 3),
    ("turn_end", 3), ("pipeline.stage.completed", 5), ("detail", 4),
)  # fmt: skip
_KINDS: Final = {"action": "action", "decision": "decision", "state_change": "state", "detail": "detail"}
_WORDS: Final = [
    "wheat",
    "iron",
    "timber",
    "cloth",
    "salt",
    "market",
    "harbour",
    "bakery",
    "order",
    "refund",
    "invoice",
    "price",
    "weather",
    "north",
    "south",
    "caravan",
    "guild",
    "debt",
    "tax",
]


def event_id(number: int) -> str:
    """The id of the event of that number: shaped like a ULID, in the order of the numbers."""
    digits = []
    rest = (0x019A_0000_0000 << 80) + (number << 44) + (number * 2_654_435_761 % (1 << 44))
    for _ in range(26):
        digits.append(_BASE32[rest & 31])
        rest >>= 5
    return "".join(reversed(digits))


def records_of(run: int, first: int, count: int) -> Iterator[tuple[str, str, int]]:
    """The events of one run as OTLP JSON: the signal, the record and its time."""
    chance = random.Random(run)
    types, weights = zip(*_TYPES, strict=True)
    kinds = chance.choices(types, weights, k=count)
    for n in range(count):
        number = first + n
        at = START + number * _STEP + chance.randrange(_STEP)
        trace = f"{number // 20 + 1:032x}"
        span = f"{number // 5 + 1:016x}"
        agent = min(int(chance.expovariate(0.03)), AGENTS - 1)
        if n % 5 == 4:
            parent = f'"parentSpanId":"{number // 20 * 4 + 1:016x}",' if (number // 5) % 4 else ""
            code = '"status":{"code":2,"message":"timed out"},' if chance.random() < 0.05 else ""
            yield (
                "traces",
                f'{{"traceId":"{trace}","spanId":"{span}",{parent}"name":"step {chance.choice(_WORDS)}","kind":1,{code}'
                f'"startTimeUnixNano":"{at}","endTimeUnixNano":"{at + int(chance.expovariate(1e-7)) + 1}","attributes":['
                f"{_text('whence.agent', f'agent-{agent}')},{_text('http.route', '/' + chance.choice(_WORDS))},"
                f"{_whole('retries', int(chance.expovariate(2)))}]}}",
                at,
            )
            continue
        failed = chance.random() < 0.05
        back = [event_id(number - 1 - int(chance.expovariate(0.2))) for _ in range(chance.choice((0, 1, 1, 1, 2)))]
        causes = ",".join(f'{{"stringValue":"{id}"}}' for id in dict.fromkeys(back)) if n > 200 else ""
        good, units = chance.choice(_WORDS), chance.randrange(1, 500)
        rare = f",{_text('deploy.canary', f'c{number}')}" if number % 997 == 0 else ""
        said = f"agent {agent} trades {units} of {good}" + (f" needle{number}" if number % 100_003 == 0 else "")
        kind = kinds[n]
        yield (
            "logs",
            f'{{"timeUnixNano":"{at}","observedTimeUnixNano":"{at}","severityNumber":{17 if failed else 9},'
            f'"severityText":"{"ERROR" if failed else "INFO"}","eventName":"{kind}","body":{{"stringValue":"{said}"}},'
            f'"traceId":"{trace}","spanId":"{span}","attributes":[{_text("log.record.uid", event_id(number))},'
            f"{_text('whence.kind', _KINDS.get(kind, 'milestone'))},{_whole('whence.seq', n + 1)},"
            f"{_whole('whence.elapsed_ns', n * _STEP)},{_text('whence.agent', f'agent-{agent}')},"
            f"{_whole('whence.turn', n // 1_000)},"
            + (f'{{"key":"whence.caused_by","value":{{"arrayValue":{{"values":[{causes}]}}}}}},' if causes else "")
            + f"{_text('region', ('north', 'south', 'east')[min(int(chance.expovariate(1)), 2)])},"
            f"{_text('customer', f'cust-{int(chance.paretovariate(0.6)) % 100_000}')}{rare},"
            f'{{"key":"whence.payload","value":{{"kvlistValue":{{"values":[{_text("good", good)},{_whole("units", units)},'
            f'{{"key":"price","value":{{"doubleValue":{chance.uniform(1, 90):.4f}}}}},'
            f'{{"key":"details","value":{{"kvlistValue":{{"values":[{_text("market", chance.choice(_WORDS))},'
            f"{_whole('depth', n % 7)}]}}}}}}]}}}}}}]}}",
            at,
        )


def _text(key: str, value: str) -> str:
    return f'{{"key":"{key}","value":{{"stringValue":"{value}"}}}}'


def _whole(key: str, value: int) -> str:
    return f'{{"key":"{key}","value":{{"intValue":"{value}"}}}}'


def generate(directory: Path, count: int) -> None:
    """An archive of so many events, sealed."""
    writer = ArchiveWriter(directory, WriterOptions(compress_over=None))
    for run, first in enumerate(range(0, count, PER_RUN)):
        name = f"run-{run:04d}"
        resource = (
            f'{{"resource":{{"attributes":[{_text("service.name", "bench")},{_text("whence.run", name)},'
            f"{_text('service.instance.id', f'p{run}')},{_text('host.name', 'host')}]}}"
        )
        waiting: dict[str, list[tuple[str, int]]] = {"logs": [], "traces": []}
        for signal, record, at in records_of(run, first, min(PER_RUN, count - first)):
            waiting[signal].append((record, at))
            if len(waiting[signal]) == PER_LINE:
                _append(writer, name, signal, resource, waiting[signal])
        for signal, records in waiting.items():
            if records:
                _append(writer, name, signal, resource, records)
    writer.close(600)


def _append(writer: ArchiveWriter, run: str, signal: str, resource: str, records: list[tuple[str, int]]) -> None:
    outer, inner, each = (
        ("resourceLogs", "scopeLogs", "logRecords") if signal == "logs" else ("resourceSpans", "scopeSpans", "spans")
    )
    joined = ",".join(record for record, _ in records)
    text = f'{{"{outer}":[{resource},"{inner}":[{{"scope":{{"name":"bench"}},"{each}":[{joined}]}}]}}]}}\n'
    line = Line(text.encode(), len(records), records[0][1], records[-1][1])
    writer.append(run, signal, [line])  # type: ignore[arg-type]
    records.clear()


if __name__ == "__main__":
    began = time.perf_counter()
    generate(Path(sys.argv[1]), int(sys.argv[2]))
    print(f"{int(sys.argv[2]) / (time.perf_counter() - began):,.0f} events/s")
