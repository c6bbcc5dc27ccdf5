"""The processor `tail_sampling`: keeps or drops whole traces by what happened in them, once they are likely complete.

It acknowledges what it holds in memory: a kill loses the traces that are not decided yet. Where that must not be, a pipeline
with the archive exporter and without this processor stands beside it, from the same receivers. Stopping decides what is held.
"""

import threading
from collections import Counter, OrderedDict, deque
from typing import Final

from pydantic import Field, field_validator

from whence.collect.batch import ACCEPTED, Batch, Receipt
from whence.collect.component import HEALTHY, Consumer, Health, Host, Plug
from whence.collect.outcome import Refused
from whence.collect.processors.causes import Causes, Fact, fact_of
from whence.collect.processors.demands import Some
from whence.collect.processors.policies import PolicySettings
from whence.collect.processors.policy import Asked, Policy, Verdict, together
from whence.collect.processors.traces import Span, Trace, spans_of, tree_of
from whence.collect.settings import Duration, Settings, noted
from whence.errors import DataError
from whence.event.misfits import Misfit
from whence.otlp.decode import Place, decode_each

_TICK: Final = 0.5
_AT_ONCE: Final = 4096
"""Spans of a batch that is sent on."""


class DecisionCache(Settings):
    """How many decisions are remembered for spans that come late; 0: as many as traces are held."""

    sampled_cache_size: int = Field(default=0, ge=0)
    non_sampled_cache_size: int = Field(default=0, ge=0)


class TailSamplingSettings(Settings):
    """The Collector's keys, and `num_spans`."""

    decision_wait: Duration = 30.0
    num_traces: int = Field(50_000, ge=1)
    num_spans: int = Field(1_000_000, ge=1)
    """Spans held at most, of all traces together. With either limit reached, the oldest traces are decided early."""
    expected_new_traces_per_sec: int = noted(0, "memory is taken as it is needed")
    decision_cache: DecisionCache = DecisionCache()
    sample_on_first_match: bool = False
    drop_pending_traces_on_shutdown: bool = False
    policies: Some[PolicySettings]

    @field_validator("policies")
    @classmethod
    def _names(cls, found: tuple[PolicySettings, ...]) -> tuple[PolicySettings, ...]:
        twice = [name for name, n in Counter(one.name for one in found).items() if n > 1]
        if twice:
            raise Misfit(f"each policy must have a name of its own; twice there is {', '.join(twice)}")
        return found


class _Held:
    """A trace not decided yet."""

    __slots__ = ("since", "spans")

    def __init__(self, since: float) -> None:
        self.since = since
        self.spans: list[Span] = []


class _Decisions:
    """The last decisions, by trace."""

    def __init__(self, sampled: int, not_sampled: int) -> None:
        self._sizes = {True: sampled, False: not_sampled}
        self._known: dict[bool, OrderedDict[str, None]] = {True: OrderedDict(), False: OrderedDict()}

    def of(self, trace: str) -> bool | None:
        return True if trace in self._known[True] else False if trace in self._known[False] else None

    def add(self, trace: str, kept: bool) -> None:
        known = self._known[kept]
        known[trace] = None
        if len(known) > self._sizes[kept]:
            known.popitem(last=False)


class TailSampling:
    """Holds traces, and decides them in a thread of its own."""

    def __init__(self, settings: TailSamplingSettings, host: Host, next: Consumer) -> None:
        self._settings, self._host, self._next = settings, host, next
        self._policies = [(one.name, one.build(host)) for one in settings.policies]
        self._causal = any("caused_error" in one.kinds() for one in settings.policies)
        cache, most = settings.decision_cache, settings.num_traces
        self._decisions = _Decisions(cache.sampled_cache_size or most, cache.non_sampled_cache_size or most)
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._spans = self._waiting = 0
        """Spans held, and spans decided on that nobody has taken yet."""
        self._causes = Causes()
        self._leaving: deque[Batch] = deque()
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._labels = {"processor": host.id}

    # --- its life

    def start(self, host: Host) -> None:
        """Begins to decide."""
        self._host.log.warning(
            "%s acknowledges spans that it holds in memory for %gs: a kill loses what is not decided yet; "
            "beside it, a pipeline from the same receivers with the archive exporter loses nothing",
            self._host.id, self._settings.decision_wait,
        )  # fmt: skip
        self._forget = self._host.telemetry.read(
            "otelcol_processor_tail_sampling_sampling_traces_on_memory", lambda: len(self._held), **self._labels
        )
        self._thread = threading.Thread(target=self._run, name=self._host.id, daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Decides what is held and sends it on."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - self._host.monotonic()))
            self._forget()
        if self._settings.drop_pending_traces_on_shutdown:
            self._host.log.warning("%s drops %d traces that are not decided", self._host.id, len(self._held))
        else:
            self.decide(everything=True)
        while self._leaving and self._host.monotonic() < deadline:
            left = max(0.0, deadline - self._host.monotonic())
            if not self.send(left):
                self._wake.clear()
                self._wake.wait(min(_TICK, left))
        if self._leaving:
            left = sum(batch.count() for batch in self._leaving)
            self._host.log.error(
                "%s stops with %d spans that nobody downstream took: they are lost", self._host.id, left
            )

    def health(self) -> Health:
        """Not well while nobody takes what was decided."""
        waiting = len(self._leaving)
        return Health(False, f"{waiting} batches of sampled traces are waiting to be taken") if waiting > 1 else HEALTHY

    def _run(self) -> None:
        while not self._stopped:
            try:
                self.decide()
                self.send()
            except Exception:
                self._host.log.exception("%s could not decide; it goes on", self._host.id)
            self._wake.wait(_TICK)
            self._wake.clear()

    # --- what comes in

    def consume(self, batch: Batch) -> Receipt:
        """Holds the spans. Those of a trace that was sampled go on at once; of one that was not, nowhere."""
        if batch.signal != "traces":
            return self._next.consume(batch)
        tree = batch.opened().tree or {}
        spans = list(spans_of(tree))
        facts = self._facts(tree) if self._causal else [[] for _ in spans]
        with self._lock:
            if self._waiting and self._spans + self._waiting >= self._settings.num_spans:
                raise Refused("cannot hold more spans: sampled ones are not taken downstream; try again later", 1.0)
            late = [span for span in spans if self._decisions.of(_trace_of(span))]
        receipt = (
            self._next.consume(batch.with_tree(tree_of(late))) if late else ACCEPTED
        )  # if it raises, nothing is held
        sent = set(map(id, late))
        with self._lock:
            rest = [pair for pair in zip(spans, facts, strict=True) if id(pair[0]) not in sent]
            new = sum(self._hold(span, found) for span, found in rest if self._decisions.of(_trace_of(span)) is None)
            self._leave([span for span, _ in rest if self._decisions.of(_trace_of(span))])
            full = len(self._held) > self._settings.num_traces or self._spans > self._settings.num_spans
        if new:
            self._host.telemetry.count("otelcol_processor_tail_sampling_new_trace_id_received", new, **self._labels)
        if full:
            self.decide()
            self._wake.set()
        return receipt

    def _hold(self, span: Span, facts: list[Fact]) -> bool:
        """Whether the trace is new."""
        trace = _trace_of(span)
        held = self._held.get(trace)
        new = held is None
        if held is None:
            held = self._held[trace] = _Held(self._host.monotonic())
        held.spans.append(span)
        self._spans += 1
        self._causes.add(facts)
        return new

    def _leave(self, spans: list[Span]) -> None:
        """These go on as soon as somebody takes them."""
        self._waiting += len(spans)
        for start in range(0, len(spans), _AT_ONCE):
            self._leaving.append(Batch("traces", tree=tree_of(spans[start : start + _AT_ONCE])))

    def _facts(self, tree: dict[str, object]) -> list[list[Fact]]:
        """What the causal policy needs to know of each span."""
        found = []
        for span, events in zip(spans_of(tree), decode_each(tree, Place(self._host.id, 0), []), strict=True):
            found.append([fact_of(event, _trace_of(span)) for event in events])
        return found

    # --- what is decided

    def decide(self, everything: bool = False) -> None:
        """Decides the traces that waited long enough, and the oldest where more are held than may be."""
        with self._lock:
            due = self._due(everything)
            if not due:
                return
            blame = self._causes.blame() if self._causal else lambda trace: False
            second = int(self._host.monotonic())
            kept: list[Span] = []
            counts: Counter[tuple[str, str]] = Counter()
            for trace, held in due:
                sampled = self._ask(Asked(Trace(trace, held.spans), second, blame), counts)
                self._decisions.add(trace, sampled)
                if sampled:
                    kept += held.spans
            self._causes.forget(trace for trace, _ in due)
            self._leave(kept)
        for (policy, verdict), n in counts.items():
            name = "global_count_traces_sampled" if not policy else "count_traces_sampled"
            labels = {**self._labels, "sampled": verdict} | ({"policy": policy} if policy else {})
            self._host.telemetry.count(f"otelcol_processor_tail_sampling_{name}", n, **labels)

    def _due(self, everything: bool) -> list[tuple[str, _Held]]:
        settings, now, early = self._settings, self._host.monotonic(), 0
        due: list[tuple[str, _Held]] = []
        while self._held:
            trace, held = next(iter(self._held.items()))
            ripe = everything or now - held.since >= settings.decision_wait
            if not ripe and len(self._held) <= settings.num_traces and self._spans <= settings.num_spans:
                break
            early += not ripe
            del self._held[trace]
            self._spans -= len(held.spans)
            due.append((trace, held))
        if early:
            self._host.telemetry.count(
                "otelcol_processor_tail_sampling_sampling_trace_decided_early", early, **self._labels
            )
        return due

    def _ask(self, asked: Asked, counts: "Counter[tuple[str, str]]") -> bool:
        verdicts = []
        for name, policy in self._policies:
            verdict = self._verdict(name, policy, asked)
            counts[name, verdict.value] += 1
            verdicts.append(verdict)
            if self._settings.sample_on_first_match and verdict.value.endswith("sampled") and together([verdict]):
                break
        kept = together(verdicts)
        counts["", str(kept).lower()] += 1
        return kept

    def _verdict(self, name: str, policy: Policy, asked: Asked) -> Verdict:
        try:
            return policy(asked)
        except Exception:
            self._host.log.exception("%s keeps a trace that its policy %s fails on", self._host.id, name)
            return Verdict.SAMPLED

    # --- what goes on

    def send(self, wait: float = -1) -> bool:
        """Sends what was decided on; whether all of it was taken. What is refused stays and is tried again.

        `wait`: seconds for another thread that is sending, -1 for as long as it takes.
        """
        if not self._sending.acquire(timeout=wait):
            return False
        try:
            while self._leaving:
                batch = self._leaving[0]
                try:
                    self._next.consume(batch)
                except Refused:
                    return False
                except DataError as cause:
                    self._host.log.error("%s gives up %d spans: %s", self._host.id, batch.count(), cause)
                self._leaving.popleft()
                with self._lock:
                    self._waiting -= batch.count()
        finally:
            self._sending.release()
        return True


def _trace_of(span: Span) -> str:
    return span.record.get("traceId") or ""


PLUG = Plug(TailSamplingSettings, TailSampling)
