"""The policies of tail sampling in a configuration: each by its type, and those that are made of others.

The law: no clock. A part that is inverted counts as sampled where it says so.
"""

from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from whence.collect.component import Host
from whence.collect.processors.demands import Some
from whence.collect.processors.policy import (
    Asked,
    BooleanAttribute,
    Budget,
    BytesLimiting,
    CausedError,
    Latency,
    Nothing,
    NumericAttribute,
    OttlCondition,
    Policy,
    Probabilistic,
    RateLimiting,
    SpanCount,
    StatusCode,
    StringAttribute,
    TraceFlags,
    TraceState,
    Verdict,
    said,
)
from whence.collect.settings import Settings
from whence.event.misfits import Misfit, nearest


class PolicySettings(Settings):
    """One policy: its type, and its settings under the type's name."""

    types: ClassVar[tuple[str, ...]] = (
        "always_sample", "latency", "numeric_attribute", "probabilistic", "status_code", "string_attribute", "trace_state",
        "trace_flags", "rate_limiting", "bytes_limiting", "span_count", "boolean_attribute", "ottl_condition", "and", "not",
        "drop", "composite", "caused_error",
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
    trace_flags: TraceFlags | None = None
    rate_limiting: RateLimiting | None = None
    bytes_limiting: BytesLimiting | None = None
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
        if (
            self.type in self.types
            and self._own() is None
            and self.type not in ("always_sample", "trace_flags", "caused_error")
        ):
            raise Misfit(f"the policy {self.name!r} needs its settings under {self.type}")
        return self

    def _own(self) -> Any:
        return getattr(self, f"{self.type}_" if self.type in ("and", "not") else self.type)

    def kinds(self) -> set[str]:
        """Its type, and those of the policies in it."""
        inner: tuple[PolicySettings, ...] = ()
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
        without: dict[str, Any] = {"caused_error": CausedError, "trace_flags": TraceFlags}
        made: Policy = (self._own() or without.get(self.type, Nothing)()).build(host)
        return made


class And(Settings):
    """Traces that all of them sample."""

    and_sub_policy: Some[PolicySettings]

    def build(self, host: Host) -> Policy:
        policies = [one.build(host) for one in self.and_sub_policy]
        good = (Verdict.SAMPLED, Verdict.INVERTED_SAMPLED)
        return lambda asked: said(all(policy(asked) in good for policy in policies))


class Not(Settings):
    """Traces that this one does not sample."""

    not_sub_policy: PolicySettings

    def build(self, host: Host) -> Policy:
        policy = self.not_sub_policy.build(host)
        return lambda asked: said(policy(asked) not in (Verdict.SAMPLED, Verdict.INVERTED_SAMPLED))


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
            (named[name].build(host), Budget(self.max_total_spans_per_second * shares.get(name, even) // 100))
            for name in self.policy_order
        ]
        total = Budget(self.max_total_spans_per_second)

        def composite(asked: Asked) -> Verdict:
            spans = len(asked.trace.spans)
            for policy, budget in parts:
                if policy(asked) in (Verdict.SAMPLED, Verdict.INVERTED_SAMPLED):
                    fits = total.has(spans, asked.second) and budget.take(spans, asked.second)
                    return said(fits and total.take(spans, asked.second))
            return Verdict.NOT_SAMPLED

        return composite


PolicySettings.model_rebuild()
