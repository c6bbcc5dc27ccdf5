"""Builders: traces with values of every type in every place, searches for them, and which traces each search must find."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from build import START, Built
from build_traces import SECOND, a_whole_span

VALUES: list[tuple[Any, str]] = [
    ("red", "red"), ("3", "3"), (3, "3"), (0.5, "0.5"), (True, "true"), (False, "false"), ("", ""), ("a b", "a b"),
    (-7, "-7"), (9007199254740993, "9007199254740993"), (1e21, "1e+21"), ([1, "x"], '[1,"x"]'), ({"k": "v"}, '{"k":"v"}'),
    (b"\x01\x02", "AQI="),
]  # fmt: skip
"""A value, and the text that OpenTelemetry's AsString has for it."""
KEYS = ("color", "http.status", "retry")
SERVICES = ("web", "cart", "db")
NAMES = ("GET /", "SELECT", "pay")
KINDS = ("", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class Asked:
    """A search. Times in seconds since `START`, durations in seconds."""

    service: str = ""
    operation: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    start: float | None = None
    end: float | None = None
    shortest: float = 0
    longest: float = 0
    limit: int = 1_000


@dataclass(frozen=True)
class Span:
    """What the oracle knows of a span."""

    trace: int
    service: str
    name: str
    at: float
    took: float
    said: frozenset[tuple[str, str]]
    linked: frozenset[tuple[str, str]]
    """What its links say."""

    def fits(self, asked: Asked, *, links: bool = True) -> bool:
        """Whether this one span says everything that is asked for."""
        return (
            asked.service in ("", self.service)
            and asked.operation in ("", self.name)
            and (asked.start is None or self.at >= asked.start)
            and (asked.end is None or self.at <= asked.end)
            and self.took >= asked.shortest
            and (not asked.longest or self.took <= asked.longest)
            and set(asked.attributes.items()) <= (self.said | self.linked if links else self.said)
        )


@dataclass
class Shop:
    """The spans as lines, and as the oracle knows them."""

    lines: list[Built]
    spans: list[Span]

    def expected(self, asked: Asked, *, links: bool = True) -> list[int]:
        """The traces with a span that fits, those with the newest such span first."""
        newest: dict[int, float] = {}
        for span in self.spans:
            if span.fits(asked, links=links):
                newest[span.trace] = max(span.at, newest.get(span.trace, -1))
        return sorted(newest, key=lambda trace: -newest[trace])

    def check(self, asked: Asked, found: list[int]) -> None:
        """Fails unless these traces are the answer: each once, the newest first, and no more of them than asked for."""
        expected, direct = self.expected(asked), self.expected(asked, links=False)
        if set(direct) == set(expected) or asked.limit <= len(direct):
            assert found == direct[: asked.limit], asked
        else:  # those that only a link finds come after the others
            assert found[: len(direct)] == direct, asked
            assert len(found) == len(set(found)) == min(asked.limit, len(expected)), asked
            assert set(found) <= set(expected), asked


def a_shop(traces: int = 40, seed: int = 5) -> Shop:
    """Traces of one to five spans, each of which begins at a moment of its own."""
    dice = random.Random(seed)
    shop = Shop([], [])
    number = 0
    for trace in range(1, traces + 1):
        for n in range(dice.randint(1, 5)):
            number += 1
            _add(shop, dice, trace, number, None if n == 0 else number - 1)
    return shop


def _add(shop: Shop, dice: random.Random, trace: int, number: int, parent: int | None) -> None:
    service, name, kind = dice.choice(SERVICES), dice.choice(NAMES), dice.choice(KINDS)
    status, at, took = dice.choice(("", "ok", "error")), float(number), dice.choice((0, 0.25, 1, 2.5))
    some: list[dict[str, tuple[Any, str]]] = [
        {key: dice.choice(VALUES) for key in KEYS if dice.random() < 0.4} for _ in range(5)
    ]
    plain = [{key: value for key, (value, _) in one.items()} for one in some]
    own, resource, scope, event, link = plain
    shop.lines.append(
        a_whole_span(
            trace, number, name, parent=parent, service=service, at=at, took=took, kind=kind, status=status,
            attributes=own, resource=resource, scope={"name": "tests", "version": "1"}, scope_attributes=scope,
            events=[("happened", event)], links=[(900, 900, link)] if link else [],
        )
    )  # fmt: skip
    said = {(key, text) for one in some[:-1] for key, (_, text) in one.items()}
    said |= {(f"resource.{key}", text) for key, (_, text) in some[1].items()}
    said |= {("span.kind", kind)} if kind else set()
    said |= {("error", "true" if status == "error" else "false")}
    said |= {("scope.name", "tests"), ("scope.version", "1"), ("resource.service.name", service)}
    said |= {("span.status", status.upper())} if status else set()
    linked = frozenset((key, text) for key, (_, text) in some[-1].items())
    shop.spans.append(Span(trace, service, name, at, took, frozenset(said), linked))


def each_alone(shop: Shop) -> Iterator[Asked]:
    """Every parameter by itself: values that are there, of every type and in every place, and some that are not."""
    yield Asked()
    yield from (Asked(service=name) for name in (*SERVICES, "nobody"))
    yield from (Asked(operation=name) for name in (*NAMES, "nothing"))
    yield from (Asked(attributes={key: text}) for key in KEYS for text in {text for _, text in VALUES})
    yield from (Asked(attributes={f"resource.{KEYS[0]}": text}) for text in {text for _, text in VALUES})
    yield from (Asked(attributes={"span.kind": kind}) for kind in KINDS[1:])
    yield from (Asked(attributes={"error": text}) for text in ("true", "false"))
    yield from (Asked(attributes={"span.status": text}) for text in ("OK", "ERROR"))
    yield from (Asked(attributes={"scope.name": text}) for text in ("tests", "other"))
    yield from (Asked(attributes={"scope.version": text}) for text in ("1", "2"))
    yield from (Asked(attributes={"color": text}) for text in ("RED", "re", "red ", "03", "3.0x"))
    yield from (Asked(start=at) for at in (0, 20, 1e6))
    yield from (Asked(end=at) for at in (0, 20, 1e6))
    yield from (Asked(shortest=took) for took in (0.25, 0.3, 2.5, 3))
    yield from (Asked(longest=took) for took in (0.1, 0.25, 1, 9))
    yield from (Asked(limit=limit) for limit in (1, 2, 7, 1_000))


def together(shop: Shop, count: int, seed: int = 7) -> Iterator[Asked]:
    """Several parameters at once, half of them taken from one span, so that much is found."""
    dice = random.Random(seed)
    for _ in range(count):
        span = dice.choice(shop.spans)
        other = span if dice.random() < 0.6 else dice.choice(shop.spans)
        said = sorted(span.said | span.linked) if dice.random() < 0.7 else sorted(other.said | other.linked)
        yield Asked(
            service=span.service if dice.random() < 0.5 else "",
            operation=other.name if dice.random() < 0.5 else "",
            attributes=dict(dice.sample(said, min(len(said), dice.randint(0, 3)))),
            start=span.at - dice.choice((0, 1, 10)) if dice.random() < 0.4 else None,
            end=span.at + dice.choice((0, 1, 10)) if dice.random() < 0.4 else None,
            shortest=other.took if dice.random() < 0.3 else 0,
            longest=max(other.took, 0.25) if dice.random() < 0.3 else 0,
            limit=dice.choice((1, 3, 1_000)),
        )


def ns(seconds: float) -> int:
    """Nanoseconds since the epoch."""
    return START + round(seconds * SECOND)
