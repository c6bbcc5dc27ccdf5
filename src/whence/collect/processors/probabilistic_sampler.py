"""The processor `probabilistic_sampler`: keeps a share of traces or log records, the same ones wherever it is asked.

`proportional` keeps a share of what arrives; `equalizing` brings everything down to one share, however much was sampled
before; `hash_seed` decides by a hash of its own, as older collectors do. The first two go by the trace's 56 random bits and
write the threshold down (tracestate `ot=th:...`, log attribute `sampling.threshold`), so that counts can be made good again.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from pydantic import Field, model_validator

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.records.draft import Draft
from whence.collect.records.plain import as_double, as_string
from whence.collect.records.randomness import (
    ALL,
    State,
    hashed,
    lets_through,
    randomness_of,
    state_of,
    state_text,
    threshold_of,
    threshold_text,
)
from whence.collect.records.walk import Place, Visit, rewritten
from whence.collect.settings import Settings
from whence.event.misfits import Misfit

_BUCKETS: Final = 1 << 14
_PRIORITY: Final = "sampling.priority"
_THRESHOLD: Final = "sampling.threshold"
_RANDOMNESS: Final = "sampling.randomness"


class SamplerSettings(Settings):
    """The Collector's keys."""

    sampling_percentage: float = Field(ge=0)
    mode: Literal["proportional", "equalizing", "hash_seed"] | None = None
    hash_seed: int = Field(0, ge=0, lt=1 << 32)
    fail_closed: bool = True
    sampling_precision: int = Field(4, ge=1, le=14)
    attribute_source: Literal["traceID", "record"] = "traceID"
    from_attribute: str = ""
    sampling_priority: str = ""

    @model_validator(mode="after")
    def _source(self) -> "SamplerSettings":
        if self.attribute_source == "record" and not self.from_attribute:
            raise Misfit("attribute_source record needs from_attribute: the attribute whose value decides")
        return self


class Decision(NamedTuple):
    """Whether a record is kept, by what, and the state to be written down where there is one."""

    kept: bool
    policy: str
    state: State | None = None


class _Sampler:
    def __init__(self, settings: SamplerSettings, host: Host) -> None:
        self._settings, self._host = settings, host
        self._share = min(settings.sampling_percentage / 100, 1.0)
        self._mode = settings.mode or "hash_seed"

    def process(self, batch: Batch) -> Batch | None:
        if batch.signal == "metrics" or (self._share >= 1 and self._mode == "hash_seed"):
            return batch
        counts: Counter[tuple[str, bool]] = Counter()
        decide = self._span if batch.signal == "traces" else self._log

        def look(place: Place) -> bool:
            decision = decide(place.record or Draft({}))
            counts[decision.policy, decision.kept] += 1
            return decision.kept

        after = rewritten(batch, Visit(record=look))
        name = f"otelcol_processor_probabilistic_sampler_count_{batch.signal}_sampled"
        for (policy, kept), n in counts.items():
            self._host.telemetry.count(name, n, processor=self._host.id, policy=policy, sampled=str(kept).lower())
        return after

    def _span(self, span: Draft) -> Decision:
        priority = span.attributes.get(_PRIORITY)
        if isinstance(priority, (int, float)) and not isinstance(priority, bool):
            return Decision(priority > 0, "sampling_priority")
        trace_id, text = span.get("traceId") or "", span.get("traceState") or ""
        if self._mode == "hash_seed":
            return self._by_hash(bytes.fromhex(trace_id), self._share)
        state = state_of(text)
        decision = self._by_threshold(
            state, state.randomness if state.randomness is not None else randomness_of(trace_id)
        )
        if decision.kept and decision.state is not None and decision.state != state:
            span.set("traceState", state_text(decision.state) or None)
        return decision

    def _log(self, record: Draft) -> Decision:
        settings, attributes = self._settings, record.attributes
        share = self._share
        if settings.sampling_priority and (own := as_double(attributes.get(settings.sampling_priority))) is not None:
            share = min(max(own, 0.0) / 100, 1.0)
        trace_id = record.get("traceId") or ""
        if settings.attribute_source == "record" or settings.from_attribute:
            value = attributes.get(settings.from_attribute)
            data = b"" if value is None else as_string(value).encode()
            return self._by_hash(data, share)
        if self._mode == "hash_seed":
            return self._by_hash(bytes.fromhex(trace_id), share)
        before, own_random = attributes.get(_THRESHOLD), attributes.get(_RANDOMNESS)
        fields = [f"th:{before}"] if isinstance(before, str) else []
        fields += [f"rv:{own_random}"] if isinstance(own_random, str) else []
        state = state_of(f"ot={';'.join(fields)}" if fields else "")
        random = state.randomness if state.randomness is not None else randomness_of(trace_id)
        decision = self._by_threshold(state, random, share)
        if (
            decision.kept
            and decision.state is not None
            and decision.state.threshold is not None
            and decision.state != state
        ):
            attributes[_THRESHOLD] = threshold_text(decision.state.threshold)
        return decision

    def _by_hash(self, data: bytes, share: float) -> Decision:
        if not data:
            return Decision(not self._settings.fail_closed, "missing_randomness")
        return Decision(hashed(data, self._settings.hash_seed) % _BUCKETS < round(share * _BUCKETS), "trace_id_hash")

    def _by_threshold(self, state: State, randomness: int | None, share: float | None = None) -> Decision:
        share = self._share if share is None else share
        if randomness is None:
            return Decision(not self._settings.fail_closed, "missing_randomness")
        before = state.threshold
        if before is not None and not lets_through(randomness, before):
            before = None  # it says of itself that it should not be here: its threshold tells nothing
        passed = 1.0 if before is None else (ALL - before) / ALL
        if self._mode == "proportional":
            threshold = threshold_of(share * passed, self._settings.sampling_precision)
        else:
            threshold = max(before or 0, threshold_of(share, self._settings.sampling_precision))
        return Decision(lets_through(randomness, threshold), "trace_id_w3c", state._replace(threshold=threshold))


def build(settings: SamplerSettings, host: Host, next: Consumer) -> Callable[[Batch], Batch | None]:
    """The processor."""
    return _Sampler(settings, host).process


PLUG = Plug(SamplerSettings, build)
