"""Emitting: what is recorded, under which number and verbosity, in batches, once per key, and never into a wrong run."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import whence
from whence import Action, ConflictError, Decision, Detail, Event, EventError, Kind, Severity, System, TurnStart
from whence.event import names
from whence.event.ids import is_ulid
from whence.record.recorder import Recorder

Start = Callable[..., Recorder]
Recorded = Callable[..., list[Event]]


def test_a_typed_event_is_recorded_with_everything_known_of_it(start: Start, recorded: Recorded) -> None:
    """Type, kind, agent, turn, payload, causes, schema, description, number, times and run come back as they were given."""
    start()
    first = whence.emit(TurnStart(turn=3))
    ref = whence.emit(
        Decision(agent="a7", turn=3, decision_type="price", old_value=10, new_value=12.5, details={"why": ["demand"]}),
        caused_by=first,
        source="market",
    )
    assert ref is not None
    _, event = recorded()
    assert is_ulid(event.id)
    assert (event.id, event.type, event.kind, event.run) == (ref.id, "decision", "decision", "r")
    assert (event.agent, event.turn, event.source, event.seq) == ("a7", 3, "market", ref.seq)
    assert event.payload == {
        "decision_type": "price",
        "old_value": 10,
        "new_value": 12.5,
        "details": {"why": ["demand"]},
    }
    assert event.caused_by == (str(first),)
    assert event.schema == "decision/1"
    assert event.description == "a7: price 10 -> 12.5"
    assert event.elapsed_ns is not None
    assert event.elapsed_ns > 0
    assert event.attributes == {}


def test_plain_log_records_type_payload_source_and_correlation(start: Start, recorded: Recorded) -> None:
    """The plain form needs no model."""
    start()
    whence.log("order.paid", {"amount": 12, "currency": "EUR"}, source="shop", correlation_id="order-7")
    (event,) = recorded()
    assert (event.type, event.source, event.correlation, event.kind) == ("order.paid", "shop", "order-7", "action")
    assert event.payload == {"amount": 12, "currency": "EUR"}


def test_every_shorthand_emits_its_kind(start: Start, recorded: Recorded) -> None:
    """One call an event: each shorthand gives the event its model would give."""
    start(verbosity="detail")
    whence.simulation_start(description="go")
    whence.turn_start(1)
    whence.phase_transition("calm", "storm", agent="sea")
    whence.decision("sail", True, False, agent="ferry", turn=1)
    whence.action("deliver", {"to": "mill"}, agent="ferry")
    whence.state("grain", 3, 4, agent="mill")
    whence.detail("path", {"steps": 4})
    whence.system("Timeout", "recovered", 2)
    whence.turn_end(1)
    whence.simulation_end()
    found = [(event.type, event.kind) for event in recorded()]
    assert found == [
        ("simulation_start", "milestone"),
        ("turn_start", "milestone"),
        ("phase_transition", "milestone"),
        ("decision", "decision"),
        ("action", "action"),
        ("state", "state"),
        ("detail", "detail"),
        ("system", "system"),
        ("turn_end", "milestone"),
        ("simulation_end", "milestone"),
    ]


# --- verbosity ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verbosity", "kinds"),
    [
        ("milestone", ["milestone"]),
        ("decision", ["milestone", "decision"]),
        ("action", ["milestone", "decision", "action"]),
        ("state", ["milestone", "decision", "action", "state"]),
        ("detail", ["milestone", "decision", "action", "state", "detail", "system"]),
    ],
)
def test_each_verbosity_includes_those_before_it(
    start: Start, recorded: Recorded, verbosity: str, kinds: list[str]
) -> None:
    """Each level lets its kinds through; trouble passes at every level."""
    start(verbosity=verbosity)
    for kind in Kind:
        whence.log(f"of.{kind}", kind=kind)
    whence.log("trouble", kind="system", severity=Severity.WARN)
    whence.emit(System(error_type="Timeout"))
    assert [event.type for event in recorded()] == [*(f"of.{kind}" for kind in kinds), "trouble", "system"]


def test_a_suppressed_payload_is_never_built(start: Start) -> None:
    """Callables of suppressed events are not called; those of recorded ones are."""
    start(verbosity="action")
    built: list[str] = []

    def build(what: str, value: Any) -> Callable[[], Any]:
        return lambda: built.append(what) or value

    assert whence.emit(Detail, build("emit", {"calculation_type": "x"})) is None
    assert whence.detail("x", build("detail", {})) is None
    assert whence.log("x", build("log", {}), kind="state") is None
    assert built == []
    assert whence.action("x", build("action", {"n": 1})) is not None
    assert whence.emit(Action, build("model", {"action_type": "x"})) is not None
    assert built == ["action", "model"]


def test_verbosity_changes_while_running_for_the_run_and_for_one_agent(start: Start, recorded: Recorded) -> None:
    """More for one agent, less for the rest, and back, with the recorder running."""
    start(verbosity="action")
    whence.state("x", 1, 2, agent="a7")
    whence.set_verbosity("detail", agent="a7")
    whence.state("x", 2, 3, agent="a7")
    whence.state("x", 2, 3, agent="a8")
    whence.set_verbosity("milestone")
    whence.action("go", agent="a8")
    whence.state("x", 3, 4, agent="a7")
    whence.set_verbosity("milestone", agent="a7")
    whence.state("x", 4, 5, agent="a7")
    assert [(event.agent, event.payload["new_value"]) for event in recorded()] == [("a7", 3), ("a7", 4)]


def test_a_wrong_verbosity_or_kind_is_an_error_that_lists_the_right_ones(start: Start) -> None:
    """The message says what was expected."""
    start()
    with pytest.raises(EventError, match="milestone, decision, action, state, detail"):
        whence.set_verbosity("loud")
    with pytest.raises(EventError, match="milestone, decision, action, state, detail, system"):
        whence.log("x", kind="milestones")


def test_a_suppressed_event_hands_its_causes_on(start: Start, recorded: Recorded) -> None:
    """Where verbosity leaves out the middle of a chain, its ends are joined: no why is cut by verbosity."""
    start(verbosity="action")
    first, second = whence.action("a"), whence.action("b")
    one = whence.state("x", 1, 2, caused_by=first)
    both = whence.state("y", 1, 2, caused_by=[one, second])
    none = whence.detail("z")
    whence.action("c", caused_by=[both, none])
    assert recorded()[-1].caused_by == (str(first), str(second))


# --- order and number -------------------------------------------------------------------------------------------------------


def test_numbers_are_complete_and_in_order_under_many_threads(start: Start, recorded: Recorded) -> None:
    """Eight threads: no number lost or repeated, ids ascend with the numbers, and the file has them in that order."""
    start(queue_size=100_000)

    def emit() -> None:
        for n in range(500):
            whence.log("e", {"n": n})

    threads = [threading.Thread(target=emit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = recorded(own=True)
    assert [event.seq for event in events] == list(range(1, 4003))
    assert [event.id for event in events] == sorted(event.id for event in events)
    elapsed = [event.elapsed_ns for event in events]
    assert elapsed == sorted(elapsed)  # type: ignore[type-var]


def test_a_run_goes_on_where_it_was(start: Start, tmp_path: Path) -> None:
    """A run id that the archive knows continues its numbers and still knows its idempotency keys."""
    start()
    first = whence.log("paid", idempotency_key="order-1")
    assert first is not None
    last = whence.current_run().last_seq
    whence.shutdown()
    start()
    assert whence.current_run().last_seq == last + 2  # the end of the first part and the beginning of this one
    again = whence.log("paid", idempotency_key="order-1")
    assert again is not None
    assert again.id == first.id


def test_the_same_idempotency_key_records_once(start: Start, recorded: Recorded) -> None:
    """The second emit gives the first one's reference and records nothing; another key records."""
    start()
    first = whence.log("paid", {"try": 1}, idempotency_key="k")
    second = whence.log("paid", {"try": 2}, idempotency_key="k")
    whence.log("paid", {"try": 3}, idempotency_key="other")
    assert first == second
    assert [event.payload["try"] for event in recorded()] == [1, 3]


def test_an_append_based_on_an_old_state_is_refused(start: Start, recorded: Recorded) -> None:
    """Optimistic concurrency: the expected number must be the last one; the error tells both."""
    start()
    base = whence.current_run().last_seq
    whence.log("first", expected_seq=base)
    with pytest.raises(ConflictError, match=f"expected to be {base} and is {base + 1}"):
        whence.log("second", expected_seq=base)
    whence.log("third", expected_seq=base + 1)
    assert [event.type for event in recorded()] == ["first", "third"]


# --- batches ----------------------------------------------------------------------------------------------------------------


def test_a_batch_is_recorded_together(start: Start, recorded: Recorded) -> None:
    """References can be causes inside the batch at once; numbers are given when it ends."""
    start()
    with whence.batch():
        first = whence.log("one")
        second = whence.log("two", caused_by=first)
        assert first is not None
        assert first.seq is None
    assert second is not None
    assert second.seq is not None
    one, two = recorded()
    assert (one.type, two.type, two.caused_by) == ("one", "two", (one.id,))


def test_a_batch_that_raises_records_nothing(start: Start, recorded: Recorded) -> None:
    """All or nothing: the exception goes on, the events do not, and no number is used up."""
    start()
    before = whence.current_run().last_seq
    with pytest.raises(ZeroDivisionError), whence.batch():
        whence.log("one")
        raise ZeroDivisionError
    assert whence.current_run().last_seq == before
    assert recorded() == []


def test_a_batch_can_expect_a_number_and_refuses_what_makes_no_sense(start: Start, recorded: Recorded) -> None:
    """The expected number is the batch's; batches do not nest."""
    start()
    last = whence.current_run().last_seq
    with pytest.raises(ConflictError), whence.batch(expected_seq=last + 7):
        whence.log("lost")
    with pytest.raises(EventError, match="inside a batch"), whence.batch():
        whence.log("x", expected_seq=1)
    with pytest.raises(EventError, match="already atomic"), whence.batch(), whence.batch():
        pass
    assert recorded() == []


# --- errors, handlers, mirror -------------------------------------------------------------------------------------------------


def test_an_exception_is_recorded_with_its_stack(start: Start, recorded: Recorded) -> None:
    """Type, message and stack stand in OpenTelemetry's own attributes; verbosity never hides it."""
    start(verbosity="milestone")
    try:
        {}["missing"]  # type: ignore[index]
    except KeyError as error:
        whence.error(error, {"order": 7}, agent="shop")
    (event,) = recorded()
    assert (event.type, event.severity, event.agent) == ("exception", Severity.ERROR, "shop")
    assert event.attributes[names.EXCEPTION_TYPE] == "KeyError"
    assert event.attributes[names.EXCEPTION_MESSAGE] == "'missing'"
    assert "test_an_exception_is_recorded_with_its_stack" in event.attributes[names.EXCEPTION_STACKTRACE]
    assert event.payload == {"order": 7}


def test_handlers_hear_of_matching_events_until_they_are_taken_off(start: Start, recorded: Recorded) -> None:
    """A handler gets the event as readers will see it."""
    start()
    heard: list[Event] = []
    off = whence.on("task.*", heard.append)
    first = whence.log("start")
    whence.log("task.started", {"n": 1}, task="t1", caused_by=first)
    off()
    whence.log("task.completed", task="t1")
    stored = recorded()[1]
    assert [(event.id, event.type, event.task, event.payload, event.caused_by, event.seq) for event in heard] == [
        (stored.id, stored.type, stored.task, stored.payload, stored.caused_by, stored.seq)
    ]


def test_a_handler_that_raises_disturbs_nobody(
    start: Start, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the event is recorded and the next handler called."""
    start()
    heard: list[Event] = []
    whence.on("*", lambda event: 1 / 0)
    whence.on("*", heard.append)
    whence.log("x")
    assert [event.type for event in recorded()] == ["x"]
    assert heard[0].type == "x"
    assert "a handler for 'x' raised" in caplog.text


def test_the_console_mirror_shows_each_event_in_one_safe_line(
    start: Start, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Tagged `[events]`, at a level that suits the severity, whatever stands in names and payloads."""
    import logging

    lines: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record)

    mirror = logging.getLogger("whence.events")
    handler = Keep()
    mirror.addHandler(handler)
    try:
        start(console=True)
        whence.log("evil\n\x1b[31m", {"a": "x\u202ey\u2028z"}, agent="a b")
        whence.log("bad", severity=Severity.ERROR)
    finally:
        mirror.removeHandler(handler)
    texts = [record.getMessage() for record in lines]
    assert texts[-2].startswith('[events] "evil\\n\\u001b[31m" run=r agent="a b"')
    assert all(text.isprintable() for text in texts)
    assert lines[-1].levelno == logging.ERROR


# --- causes and spans -------------------------------------------------------------------------------------------------------


def test_causes_become_links_between_the_spans_they_happened_in(start: Start, recorded: Recorded) -> None:
    """Each link names both events; a cause in the same span needs no link; the event keeps all its causes."""
    start()
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("first") as first_span:
        cause = whence.log("cause")
    with tracer.start_as_current_span("second") as second_span:
        near = whence.log("near")
        effect = whence.log("effect", caused_by=[cause, near])
    links = second_span.links  # type: ignore[attr-defined]
    assert [link.context.span_id for link in links] == [first_span.get_span_context().span_id]
    assert dict(links[0].attributes) == {
        names.LINK: "caused_by",
        names.CAUSE: str(cause),
        names.EFFECT: str(effect),
    }
    events = {event.type: event for event in recorded()}
    assert events["effect"].caused_by == (str(cause), str(near))
    assert events["second"].caused_by == ()  # the link is the event's, which happened to be in this span


def test_a_turn_with_a_thousand_causes_keeps_every_link(start: Start, recorded: Recorded) -> None:
    """Beyond OpenTelemetry's limit of 128, which would drop the oldest."""
    start()
    tracer = trace.get_tracer("test")
    causes = []
    for n in range(1000):
        with tracer.start_as_current_span(f"s{n}"):
            causes.append(whence.log("cause"))
    with tracer.start_as_current_span("turn") as span:
        whence.log("effect", caused_by=causes)
    assert len(span.links) == 1000  # type: ignore[attr-defined]
    effect = next(event for event in recorded() if event.type == "effect")
    assert effect.caused_by == tuple(str(cause) for cause in causes)


def test_spans_and_plain_records_directly_under_because_have_its_cause(start: Start, recorded: Recorded) -> None:
    """A span started directly under because is an effect; its children are caused by it."""
    start(logging=True)
    tracer = trace.get_tracer("test")
    cause = whence.log("cause")
    with whence.because(cause), tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
        whence.log("event")
        import logging

        logging.getLogger("app").warning("careful")
    events = {event.type or "plain": event for event in recorded()}
    assert events["outer"].caused_by == (str(cause),)
    assert events["inner"].caused_by == ()
    assert events["event"].caused_by == (str(cause),)
    assert events["plain"].caused_by == (str(cause),)
    assert events["plain"].description == "careful"
    assert is_ulid(events["plain"].id)


def test_correlation_is_ambient_unless_said(start: Start, recorded: Recorded) -> None:
    """Everything inside the context carries the id; an explicit one wins."""
    start()
    with whence.correlation("order-7"):
        whence.log("inside")
        whence.log("own", correlation_id="mine")
    whence.log("outside")
    assert [event.correlation for event in recorded()] == ["order-7", "mine", None]


# --- several runs -------------------------------------------------------------------------------------------------------------


def test_a_process_can_record_several_runs(start: Start, recorded: Recorded) -> None:
    """Inside `with run:` module-level calls go to that run; each has its own numbers and its own folder."""
    recorder = start()
    with recorder.open_run("sim-2", verbosity="milestone") as second:
        whence.log("milestone", kind="milestone")
        whence.action("suppressed")
        assert second.last_seq == 2
    whence.log("main")
    found = {(event.run, event.type) for event in recorded(own=True)}
    assert {("sim-2", "whence.run.started"), ("sim-2", "milestone"), ("sim-2", "whence.run.finished")} <= found
    assert ("r", "main") in found
    assert ("sim-2", "action") not in found


def test_a_run_that_fails_says_so(start: Start, recorded: Recorded) -> None:
    """An exception that leaves a run's block is recorded, and the run's end says failed."""
    recorder = start()
    with pytest.raises(ZeroDivisionError), recorder.open_run("sim-3"):
        1 / 0  # noqa: B018
    events = [event for event in recorded(own=True) if event.run == "sim-3"]
    assert [event.type for event in events] == ["whence.run.started", "exception", "whence.run.finished"]
    assert events[-1].status == "failed"


# --- the ends -----------------------------------------------------------------------------------------------------------------


def test_emitting_after_shutdown_is_counted_and_harms_nothing(start: Start, recorded: Recorded) -> None:
    """The event is not in the archive; the program goes on."""
    start()
    whence.log("before")
    report = whence.shutdown()
    assert report.complete
    whence.log("after")
    assert [event.type for event in recorded()] == ["before"]


def test_configuring_again_ends_the_first_recorder(start: Start, tmp_path: Path) -> None:
    """The first archive is complete; what comes after goes to the second, spans and their run included."""
    from whence import Archive

    start()
    whence.log("one")
    start(archive=tmp_path / "second", run="r2")
    whence.log("two")
    with trace.get_tracer("t").start_as_current_span("span"):
        pass
    whence.shutdown()
    first = [event.type for event in Archive(tmp_path / "archive").events()]
    second = [(event.type, event.run) for event in Archive(tmp_path / "second").events()]
    assert first == ["whence.run.started", "one", "whence.run.finished"]
    assert set(second) == {
        ("whence.run.started", "r2"),
        ("two", "r2"),
        ("whence.run.finished", "r2"),
        ("span", "r2"),
    }


def test_durable_events_are_on_disk_when_emit_returns(start: Start, tmp_path: Path) -> None:
    """No flush, no shutdown: another reader sees the event at once."""
    start(durability="durable")
    ref = whence.log("paid")
    with whence.batch():
        batched = whence.log("batched")
    seen = [event.id for event in whence.Archive(tmp_path / "archive").events()]
    assert str(ref) in seen
    assert str(batched) in seen


@pytest.mark.parametrize(
    "payload",
    [
        {"n": 2**80},
        {"x": float("nan"), "y": float("-inf")},
        {"s": "a\ud800b"},
        {"b": b"\x00\xff"},
        {"none": None, "empty": [], "map": {}},
        {"deep": {"a": {"b": [{"c": 1}]}}},
        {"extremes": [2**63 - 1, -(2**63)]},
    ],
    ids=str,
)
def test_unusual_values_are_kept_or_said_to_be_changed(
    start: Start, recorded: Recorded, payload: dict[str, Any]
) -> None:
    """What OTLP has no place for is kept as text, and the event says so; the rest comes back equal."""
    start()
    whence.log("x", payload)
    (event,) = recorded()
    if names.LOSSY in event.attributes:
        assert event.attributes[names.LOSSY] == [names.PAYLOAD]
        assert event.payload in ({"n": str(2**80)}, {"s": "a\\ud800b"})
    else:
        assert repr(event.payload) == repr(payload)


def test_a_payload_that_contains_itself_or_never_ends_is_kept_as_text(start: Start, recorded: Recorded) -> None:
    """Nothing is raised into the program, and the event is there."""
    start()
    cyclic: dict[str, Any] = {"name": "ring"}
    cyclic["self"] = cyclic
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    whence.log("cyclic", cyclic)
    whence.log("deep", {"deep": deep})
    events = {event.type: event for event in recorded()}
    assert names.LOSSY in events["cyclic"].attributes
    assert names.LOSSY in events["deep"].attributes


def test_what_the_program_changes_after_an_emit_does_not_change_the_event(start: Start, recorded: Recorded) -> None:
    """The event has the values of the moment it was emitted, however late it is written."""
    start()
    shared = {"list": [1], "map": {"a": 1}}
    whence.log("plain", shared)
    whence.emit(Action(action_type="typed", action_payload=shared))
    shared["list"].append(2)  # type: ignore[attr-defined]
    shared["map"]["a"] = 2  # type: ignore[call-overload,index]
    plain, typed = recorded()
    assert plain.payload == {"list": [1], "map": {"a": 1}}
    assert typed.payload["action_payload"] == {"list": [1], "map": {"a": 1}}
