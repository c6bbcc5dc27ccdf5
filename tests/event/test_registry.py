"""Models are found by type and version, check payloads, bring old ones up to date, and give recorded events their types back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from whence.errors import EventError
from whence.event.kinds import Kind
from whence.event.model import Event
from whence.event.registry import (
    VOCABULARIES,
    from_tagged,
    model_for,
    register,
    typed,
    types,
    upcasts,
    validate,
    versions,
)
from whence.event.typed import TypedEvent
from whence.event.vocabularies.job import JobStageStarted
from whence.event.vocabularies.simulation import Decision
from whence.event.vocabularies.workflow import TaskCompleted


class PriceV1(TypedEvent, type="test.price", version=1):
    item: str
    price: int


class PriceV2(TypedEvent, type="test.price", version=2):
    product: str
    price: int


class PriceV3(TypedEvent, type="test.price", version=3):
    product: str
    cents: int
    since: datetime | None = None


@upcasts("test.price", 1)
def _to_v2(old: dict[str, Any]) -> Mapping[str, Any]:
    return {"product": old.pop("item"), **old}


@upcasts("test.price", 2)
def _to_v3(old: dict[str, Any]) -> Mapping[str, Any]:
    return {"product": old["product"], "cents": old["price"] * 100}


def recorded(event: TypedEvent, **more: Any) -> Event:
    """The event as a reader finds it in an archive."""
    common, payload = event.split()
    return Event(id="e1", type=event.type, time=1, payload=payload, schema=event.schema_id, **common, **more)


def test_models_are_found_by_type_and_version() -> None:
    """Without a version, the latest."""
    assert model_for("test.price") is PriceV3
    assert model_for("test.price", 1) is PriceV1
    assert model_for("test.price", 9) is None
    assert model_for("no.such") is None
    assert versions("test.price") == [1, 2, 3]
    assert "task.completed" in types()


def test_a_payload_becomes_its_models_event() -> None:
    """Checked, and typed."""
    event = validate("task.completed", {"task": "load", "duration_ms": 3})
    assert event == TaskCompleted(task="load", duration_ms=3.0)


@pytest.mark.parametrize(
    ("type", "payload", "words"),
    [
        ("task.completed", {"task": "x", "duration_ms": "long"}, "duration_ms: expected a number, got 'long'"),
        (
            "task.completed",
            {"duration_ms": -1, "task": "x"},
            "duration_ms: expected at least 0, got -1",
        ),
        ("task.completed", {}, "task: missing; duration_ms: missing"),
        ("task.complete", {}, "did you mean 'task.completed'?"),
    ],
)
def test_what_does_not_fit_is_named(type: str, payload: dict[str, Any], words: str) -> None:
    """The field, what was expected, what was there; for an unknown type, the nearest one."""
    with pytest.raises(EventError) as caught:
        validate(type, payload)
    assert words in str(caught.value)


def test_an_old_payload_is_brought_up_to_date_step_by_step() -> None:
    """Version 1 by way of version 2, without a change to what was given."""
    old = {"item": "bread", "price": 3}
    assert validate("test.price", old, 1) == PriceV3(product="bread", cents=300)
    assert validate("test.price", {"product": "bread", "price": 3}, 2) == PriceV3(product="bread", cents=300)
    assert old == {"item": "bread", "price": 3}


def test_without_an_upcast_an_old_payload_is_its_own_versions_event() -> None:
    """Nothing is guessed."""

    class V1(TypedEvent, type="test.gap", version=1):
        a: int

    class V2(TypedEvent, type="test.gap", version=2):
        b: int

    assert validate("test.gap", {"a": 1}, 1) == V1(a=1)
    assert validate("test.gap", {"b": 1}) == V2(b=1)
    with pytest.raises(EventError, match="version 3, only for 1, 2"):
        validate("test.gap", {}, 3)


def test_an_upcast_that_fails_says_which() -> None:
    """The step is named, with what went wrong in it."""
    with pytest.raises(EventError, match=r"'test.price' from version 1 to 2.*KeyError"):
        validate("test.price", {"price": 3}, 1)


def test_any_pydantic_model_can_be_registered() -> None:
    """An application's own models become events without being written again."""

    class Reading(BaseModel):
        """A sensor's reading."""

        sensor: str
        value: float

    ReadingTaken = register(Reading, type="test.reading", kind=Kind.STATE)
    event = validate("test.reading", {"sensor": "mast", "value": 3})
    assert type(event) is ReadingTaken
    assert isinstance(event, Reading)
    assert event.kind is Kind.STATE
    assert event.split()[1] == {"sensor": "mast", "value": 3.0}
    with pytest.raises(EventError, match="value: missing"):
        ReadingTaken(sensor="mast")
    with pytest.raises(EventError, match="unknown field"):
        ReadingTaken(sensor="mast", value=1, colour="red")


def test_registering_needs_a_type_unless_the_model_has_one() -> None:
    """A TypedEvent is given back as it is; a plain model must be told its type."""
    assert register(Decision) is Decision
    with pytest.raises(EventError, match="say its event type"):
        register(BaseModel)
    with pytest.raises(EventError, match="its class says 'decision'"):
        register(Decision, type="other")


def test_a_recorded_event_gets_its_types_back() -> None:
    """With its common fields, its payload, and older versions brought up to date."""
    event = Decision(agent="a7", turn=3, decision_type="price", old_value=1, new_value=2, details={"why": "rent"})
    assert typed(recorded(event)) == event
    assert typed(recorded(JobStageStarted(job="j1", stage="build"))) == JobStageStarted(job="j1", stage="build")
    assert typed(recorded(PriceV1(item="bread", price=3))) == PriceV3(product="bread", cents=300)
    assert typed(recorded(event, description="said")) == event.model_copy(update={"description": "said"})


def test_an_event_of_no_model_has_no_typed_view() -> None:
    """Unknown types, versions from the future, and other people's events that only happen to have the same name."""
    assert typed(Event(id="e", type="no.such", time=1)) is None
    assert typed(Event(id="e", type="test.price", time=1, schema="test.price/9")) is None
    assert typed(Event(id="e", type="decision", time=1, payload={"verdict": "guilty"})) is None
    assert typed(Event(id="e", type="decision", time=1, payload={"decision_type": "x"})) == Decision(decision_type="x")


def test_a_recorded_event_that_does_not_fit_its_own_schema_is_an_error() -> None:
    """It was damaged, or written by something that lied."""
    with pytest.raises(EventError, match="decision_type: missing"):
        typed(Event(id="e", type="decision", time=1, schema="decision/1"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"type": 7}', "7", b"\xff"])
def test_text_that_is_no_event_is_said_to_be_none(text: str | bytes) -> None:
    """Not JSON, not an object, without a type."""
    with pytest.raises(EventError, match="cannot read an event"):
        from_tagged(text)


MODELS = [
    model
    for module in VOCABULARIES
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, TypedEvent) and model.type
]
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.text(max_size=8)
    | st.lists(st.integers(0, 9), max_size=3)
)


@given(st.data())
def test_every_vocabularys_events_survive_json_and_the_archive(data: st.DataObject) -> None:
    """Tagged JSON and the recorded form both give back the same event, whatever its fields hold."""
    model = data.draw(st.sampled_from(MODELS))
    fields = {}
    for name, field in model.model_fields.items():
        if field.is_required() or data.draw(st.booleans()):
            fields[name] = data.draw(_values(field.annotation))
    event = model(**fields)
    assert from_tagged(event.to_json()) == event
    assert typed(recorded(event, description=event.description)) == event


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values a field of this type may hold, within every limit in the vocabularies."""
    text = str(annotation)
    if "dict[str, int]" in text:
        return st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2)
    if "dict" in text:
        return st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)
    if "list" in text:
        return st.lists(st.text(max_size=3), max_size=2)
    if "str" in text:
        return st.text(max_size=8)
    if "int" in text:
        return st.integers(1, 1 << 40)
    if "float" in text:
        return st.floats(0, 1)
    return PLAIN
