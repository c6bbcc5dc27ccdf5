"""What a policy of tail sampling can ask of one trace: a settings class and a question each.

The law: no clock; a policy that counts by seconds is given the second. Verdicts are put together as in the Collector: what
is dropped, or matched by an inverted policy, is not sampled whatever the others say.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final, Literal, NamedTuple

import orjson
from pydantic import Field, model_validator

from whence.collect.component import Host
from whence.collect.ottl.statements import condition_of
from whence.collect.processors.causes import Blame
from whence.collect.processors.demands import Some, is_pattern
from whence.collect.processors.statements import ErrorMode, SpanCondition, SpanEventCondition, tolerant
from whence.collect.processors.traces import Trace
from whence.collect.records.draft import Draft
from whence.collect.records.patterns import pattern
from whence.collect.records.walk import Place
from whence.collect.settings import Settings, noted
from whence.event.misfits import Misfit
from whence.otlp.value import whole

_FNV_START: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_64: Final = 1 << 64


class Verdict(Enum):
    """What a policy says of a trace."""

    SAMPLED = "sampled"
    NOT_SAMPLED = "not_sampled"
    INVERTED_SAMPLED = "inverted_sampled"
    """An inverted policy did not match: sampled, unless another inverted one did."""
    INVERTED_NOT_SAMPLED = "inverted_not_sampled"
    DROPPED = "dropped"


class Asked(NamedTuple):
    """What a policy is asked about."""

    trace: Trace
    second: int
    """On a clock that only goes forward."""
    blame: Blame
    """Which traces led to an error."""


Policy = Callable[[Asked], Verdict]


def together(verdicts: Sequence[Verdict]) -> bool:
    """Whether a trace is kept."""
    if Verdict.DROPPED in verdicts or Verdict.INVERTED_NOT_SAMPLED in verdicts:
        return False
    return Verdict.SAMPLED in verdicts or Verdict.INVERTED_SAMPLED in verdicts


def said(match: bool, invert: bool = False) -> Verdict:
    """The verdict of a policy that matched, or did not."""
    if invert:
        return Verdict.INVERTED_NOT_SAMPLED if match else Verdict.INVERTED_SAMPLED
    return Verdict.SAMPLED if match else Verdict.NOT_SAMPLED


# --- one by one -----------------------------------------------------------------------------------------------------------


class Latency(Settings):
    """Traces that took so long, and no longer than the upper threshold where there is one."""

    threshold_ms: int = Field(ge=0)
    upper_threshold_ms: int = Field(0, ge=0)

    def build(self, host: Host) -> Policy:
        def latency(asked: Asked) -> Verdict:
            took = asked.trace.duration_ms()
            return said(took >= self.threshold_ms and (not self.upper_threshold_ms or took <= self.upper_threshold_ms))

        return latency


class NumericAttribute(Settings):
    """Traces with a number in a range."""

    key: str
    min_value: int = -(1 << 63)
    max_value: int = (1 << 63) - 1
    invert_match: bool = False

    def build(self, host: Host) -> Policy:
        def fits(value: Any) -> bool:
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return number and self.min_value <= value <= self.max_value

        return lambda asked: said(any(map(fits, asked.trace.values(self.key))), self.invert_match)


class StringAttribute(Settings):
    """Traces with one of these texts, or one that matches."""

    key: str
    values: Some[str]
    enabled_regex_matching: bool = False
    cache_max_size: int = noted(0, "nothing needs to be kept: expressions take linear time")
    invert_match: bool = False

    @model_validator(mode="after")
    def _compile(self) -> "StringAttribute":
        if self.enabled_regex_matching:
            for text in self.values:
                is_pattern(text)
        return self

    def build(self, host: Host) -> Policy:
        wanted = frozenset(self.values)
        searches = [pattern(text).search for text in self.values] if self.enabled_regex_matching else []

        def fits(value: Any) -> bool:
            if not isinstance(value, str):
                return False
            return any(search(value) is not None for search in searches) if searches else value in wanted

        return lambda asked: said(any(map(fits, asked.trace.values(self.key))), self.invert_match)


class BooleanAttribute(Settings):
    """Traces with a truth."""

    key: str
    value: bool = True
    invert_match: bool = False

    def build(self, host: Host) -> Policy:
        return lambda asked: said(any(value is self.value for value in asked.trace.values(self.key)), self.invert_match)


class StatusCode(Settings):
    """Traces with a span of one of these states."""

    status_codes: Some[Literal["OK", "ERROR", "UNSET"]]

    def build(self, host: Host) -> Policy:
        wanted = {("UNSET", "OK", "ERROR").index(code) for code in self.status_codes}
        return lambda asked: said(not wanted.isdisjoint(asked.trace.codes()))


class TraceState(Settings):
    """Traces whose tracestate has one of these values."""

    key: str
    values: Some[str]

    def build(self, host: Host) -> Policy:
        wanted = frozenset(self.values)
        return lambda asked: said(not wanted.isdisjoint(asked.trace.states(self.key)))


class TraceFlags(Settings):
    """Traces with a span whose flags say that it was sampled before."""

    def build(self, host: Host) -> Policy:
        return lambda asked: said(any(whole(span.record.get("flags") or 0) & 1 for span in asked.trace.spans))


class SpanCount(Settings):
    """Traces of so many spans."""

    min_spans: int = Field(0, ge=0)
    max_spans: int = Field(0, ge=0)

    def build(self, host: Host) -> Policy:
        return lambda asked: said(
            len(asked.trace.spans) >= self.min_spans
            and (not self.max_spans or len(asked.trace.spans) <= self.max_spans)
        )


class Probabilistic(Settings):
    """A share of the traces, the same ones wherever the salt is the same."""

    sampling_percentage: float = Field(ge=0)
    hash_salt: str = "default-hash-seed"

    def build(self, host: Host) -> Policy:
        salt, limit = self.hash_salt.encode(), round(min(self.sampling_percentage / 100, 1.0) * _64)

        def share(asked: Asked) -> Verdict:
            found = _FNV_START
            for byte in salt + bytes.fromhex(asked.trace.id):
                found = (found ^ byte) * _FNV_PRIME % _64
            return said(found < limit)

        return share


class Budget:
    """How much may pass in a second."""

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._second, self._taken = -1, 0

    def has(self, amount: int, second: int) -> bool:
        """Whether so much may still pass in this second."""
        if second != self._second:
            self._second, self._taken = second, 0
        return self._taken + amount <= self._amount

    def take(self, amount: int, second: int) -> bool:
        """Lets so much pass, if it may."""
        if not self.has(amount, second):
            return False
        self._taken += amount
        return True


class RateLimiting(Settings):
    """Traces as long as their spans are no more than this in a second."""

    spans_per_second: int = Field(ge=1)

    def build(self, host: Host) -> Policy:
        budget = Budget(self.spans_per_second)
        return lambda asked: said(budget.take(len(asked.trace.spans), asked.second))


class BytesLimiting(Settings):
    """Traces as long as they are no more than this in a second, in bytes of JSON."""

    bytes_per_second: int = Field(ge=1)
    burst_capacity: int = noted(0, "a second's bytes may pass at once, and no more")

    def build(self, host: Host) -> Policy:
        budget = Budget(self.bytes_per_second)
        return lambda asked: said(
            budget.take(sum(len(orjson.dumps(one.record)) for one in asked.trace.spans), asked.second)
        )


class OttlCondition(Settings):
    """Traces with a span, or a span event, of which any of these conditions is true."""

    error_mode: ErrorMode = "propagate"
    span: tuple[SpanCondition, ...] = ()
    spanevent: tuple[SpanEventCondition, ...] = ()

    @model_validator(mode="after")
    def _any(self) -> "OttlCondition":
        if not self.span and not self.spanevent:
            raise Misfit("there must be conditions under span or spanevent")
        return self

    def build(self, host: Host) -> Policy:
        mode: ErrorMode = "ignore" if self.error_mode == "propagate" else self.error_mode  # nobody is left to be told
        spans = [tolerant(condition_of(text, "span", host.now), text, mode, host, False) for text in self.span]
        events = [
            tolerant(condition_of(text, "spanevent", host.now), text, mode, host, False) for text in self.spanevent
        ]

        def fits(place: Place) -> bool:
            if any(ask(place) for ask in spans):
                return True
            if events and place.record is not None:
                for n, event in enumerate(place.record.get("events") or ()):
                    place.inner, place.index = Draft(event), n
                    if any(ask(place) for ask in events):
                        return True
            return False

        return lambda asked: said(any(map(fits, _places(asked.trace))))


def _places(trace: Trace) -> list[Place]:
    found = []
    for span in trace.spans:
        place = Place(Draft(span.group), Draft(span.group.get("resource") or {}))
        place.part, place.scope = Draft(span.part), Draft(span.part.get("scope") or {})
        place.record = Draft(span.record)
        found.append(place)
    return found


class CausedError(Settings):
    """whence's own: traces in which something led to an error, in whatever trace that happened, by links and `caused_by`."""

    def build(self, host: Host) -> Policy:
        return lambda asked: said(asked.blame(asked.trace.id))


class Nothing(Settings):
    """A policy that needs no settings."""

    def build(self, host: Host) -> Policy:
        return lambda asked: Verdict.SAMPLED
