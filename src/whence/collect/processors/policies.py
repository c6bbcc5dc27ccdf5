"""The policies of tail sampling: one settings class and one question about a trace each.

The law: no clock; a policy that counts by seconds is given the second. Verdicts are put together as in the Collector: what
is dropped, or matched by an inverted policy, is not sampled whatever the others say.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, ClassVar, Final, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

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
from whence.event.misfits import Misfit, nearest

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


def _said(match: bool, invert: bool = False) -> Verdict:
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
            return _said(took >= self.threshold_ms and (not self.upper_threshold_ms or took <= self.upper_threshold_ms))

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

        return lambda asked: _said(any(map(fits, asked.trace.values(self.key))), self.invert_match)


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

        return lambda asked: _said(any(map(fits, asked.trace.values(self.key))), self.invert_match)


class BooleanAttribute(Settings):
    """Traces with a truth."""

    key: str
    value: bool = True
    invert_match: bool = False

    def build(self, host: Host) -> Policy:
        return lambda asked: _said(
            any(value is self.value for value in asked.trace.values(self.key)), self.invert_match
        )


class StatusCode(Settings):
    """Traces with a span of one of these states."""

    status_codes: Some[Literal["OK", "ERROR", "UNSET"]]

    def build(self, host: Host) -> Policy:
        wanted = {("UNSET", "OK", "ERROR").index(code) for code in self.status_codes}
        return lambda asked: _said(not wanted.isdisjoint(asked.trace.codes()))


class TraceState(Settings):
    """Traces whose tracestate has one of these values."""

    key: str
    values: Some[str]

    def build(self, host: Host) -> Policy:
        wanted = frozenset(self.values)
        return lambda asked: _said(not wanted.isdisjoint(asked.trace.states(self.key)))


class SpanCount(Settings):
    """Traces of so many spans."""

    min_spans: int = Field(0, ge=0)
    max_spans: int = Field(0, ge=0)

    def build(self, host: Host) -> Policy:
        return lambda asked: _said(
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
            return _said(found < limit)

        return share


class RateLimiting(Settings):
    """Traces as long as their spans are no more than this in a second."""

    spans_per_second: int = Field(ge=1)

    def build(self, host: Host) -> Policy:
        budget = _Budget(self.spans_per_second)
        return lambda asked: _said(budget.take(len(asked.trace.spans), asked.second))


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

        return lambda asked: _said(any(map(fits, _places(asked.trace))))


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
        return lambda asked: _said(asked.blame(asked.trace.id))


class Nothing(Settings):
    """A policy that needs no settings."""

    def build(self, host: Host) -> Policy:
        return lambda asked: Verdict.SAMPLED


# --- of several -----------------------------------------------------------------------------------------------------------


class PolicySettings(Settings):
    """One policy: its type, and its settings under the type's name."""

    types: ClassVar[tuple[str, ...]] = (
        "always_sample", "latency", "numeric_attribute", "probabilistic", "status_code", "string_attribute", "trace_state",
        "rate_limiting", "span_count", "boolean_attribute", "ottl_condition", "and", "not", "drop", "composite",
        "caused_error",
    )  # fmt: skip

    name: str
    type: str
    always_sample: Nothing | None = None
    latency: Latency | None = None
    numeric_attribute: NumericAttribute | None = None
    probabilistic: Probabilistic | None = None
    status_code: StatusCode | None = None
    string_attribute: StringAttribute | None = None
    trace_state: TraceState | None = None
    rate_limiting: RateLimiting | None = None
    span_count: SpanCount | None = None
    boolean_attribute: BooleanAttribute | None = None
    ottl_condition: OttlCondition | None = None
    and_: "And | None" = Field(None, alias="and")
    not_: "Not | None" = Field(None, alias="not")
    drop: "Drop | None" = None
    composite: "Composite | None" = None
    caused_error: CausedError | None = None

    @field_validator("type")
    @classmethod
    def _known(cls, found: str) -> str:
        if found not in cls.types:
            raise Misfit(
                f"there is no policy type {found!r}{nearest(found, cls.types) or '; there are ' + ', '.join(cls.types)}"
            )
        return found

    @model_validator(mode="after")
    def _complete(self) -> "PolicySettings":
        if self.type in self.types and self._own() is None and self.type not in ("always_sample", "caused_error"):
            raise Misfit(f"the policy {self.name!r} needs its settings under {self.type}")
        return self

    def _own(self) -> Any:
        return getattr(self, f"{self.type}_" if self.type in ("and", "not") else self.type)

    def kinds(self) -> set[str]:
        """Its type, and those of the policies in it."""
        inner: Sequence[PolicySettings] = ()
        if self.and_ is not None:
            inner = self.and_.and_sub_policy
        elif self.not_ is not None:
            inner = (self.not_.not_sub_policy,)
        elif self.drop is not None:
            inner = self.drop.drop_sub_policy
        elif self.composite is not None:
            inner = self.composite.composite_sub_policy
        return {self.type}.union(*(one.kinds() for one in inner))

    def build(self, host: Host) -> Policy:
        """The policy."""
        own = self._own() or (CausedError() if self.type == "caused_error" else Nothing())
        made: Policy = own.build(host)
        return made


class And(Settings):
    """Traces that all of them sample."""

    and_sub_policy: Some[PolicySettings]

    def build(self, host: Host) -> Policy:
        policies = [one.build(host) for one in self.and_sub_policy]
        good = (Verdict.SAMPLED, Verdict.INVERTED_SAMPLED)
        return lambda asked: _said(all(policy(asked) in good for policy in policies))


class Not(Settings):
    """Traces that this one does not sample."""

    not_sub_policy: PolicySettings

    def build(self, host: Host) -> Policy:
        policy = self.not_sub_policy.build(host)
        return lambda asked: _said(policy(asked) not in (Verdict.SAMPLED, Verdict.INVERTED_SAMPLED))


class Drop(Settings):
    """Traces that all of them sample go, whatever other policies say."""

    drop_sub_policy: Some[PolicySettings]

    def build(self, host: Host) -> Policy:
        inner = And(and_sub_policy=self.drop_sub_policy).build(host)
        return lambda asked: Verdict.DROPPED if inner(asked) is Verdict.SAMPLED else Verdict.NOT_SAMPLED


class RateAllocation(Settings):
    """A part's share of the spans of a second."""

    policy: str
    percent: int = Field(ge=0, le=100)


class Composite(Settings):
    """Parts asked in an order; the first that samples decides, as long as its share of the spans of a second lasts."""

    max_total_spans_per_second: int = Field(ge=1)
    policy_order: Some[str]
    composite_sub_policy: Some[PolicySettings]
    rate_allocation: tuple[RateAllocation, ...] = ()

    @model_validator(mode="after")
    def _names(self) -> "Composite":
        known = {one.name for one in self.composite_sub_policy}
        for name in (*self.policy_order, *(one.policy for one in self.rate_allocation)):
            if name not in known:
                raise Misfit(f"there is no {name!r} in composite_sub_policy{nearest(name, known)}")
        return self

    def build(self, host: Host) -> Policy:
        named = {one.name: one for one in self.composite_sub_policy}
        shares = {one.policy: one.percent for one in self.rate_allocation}
        even = 100 // len(self.composite_sub_policy)
        parts = [
            (named[name].build(host), _Budget(self.max_total_spans_per_second * shares.get(name, even) // 100))
            for name in self.policy_order
        ]
        total = _Budget(self.max_total_spans_per_second)

        def composite(asked: Asked) -> Verdict:
            spans = len(asked.trace.spans)
            for policy, budget in parts:
                if policy(asked) in (Verdict.SAMPLED, Verdict.INVERTED_SAMPLED):
                    fits = total.has(spans, asked.second) and budget.take(spans, asked.second)
                    return _said(fits and total.take(spans, asked.second))
            return Verdict.NOT_SAMPLED

        return composite


class _Budget:
    """Spans that may pass in a second."""

    def __init__(self, spans: int) -> None:
        self._spans = spans
        self._second, self._taken = -1, 0

    def has(self, spans: int, second: int) -> bool:
        if second != self._second:
            self._second, self._taken = second, 0
        return self._taken + spans <= self._spans

    def take(self, spans: int, second: int) -> bool:
        if not self.has(spans, second):
            return False
        self._taken += spans
        return True


PolicySettings.model_rebuild()
