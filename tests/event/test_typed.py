"""Typed events check what they are made of, and come apart into what the archive keeps of them."""

import enum
import json
import pickle
import threading
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, PlainSerializer, ValidationError, field_serializer
from pydantic.errors import PydanticSchemaGenerationError

from whence.errors import EventError
from whence.event.kinds import Kind, Severity
from whence.event.typed import TypedEvent, When, change_of, lasted, models
from whence.event.vocabularies.simulation import Action, Decision, StateChange, System, TurnStart
from whence.event.vocabularies.workflow import TaskCompleted


class Colour(enum.Enum):
    RED = "red"


class Part(BaseModel):
    name: str
    weight: float = 1.0


class Assembled(TypedEvent, type="test.assembled", kind=Kind.STATE, severity=Severity.DEBUG, version=2):
    """Nested models, enums and times in one event."""

    parts: list[Part]
    colour: Colour
    at: datetime
    note: str | None = None
    must_say: int | None


MADE = Assembled(
    parts=[Part(name="wheel")], colour=Colour.RED, at=datetime(2026, 1, 2, tzinfo=UTC), must_say=None, agent=7, turn=3
)


def test_a_class_says_its_type_kind_severity_and_schema() -> None:
    """The facts of the class are on the class and on each event."""
    for what in (Assembled, MADE):
        assert (what.type, what.kind, what.severity) == ("test.assembled", Kind.STATE, Severity.DEBUG)
        assert (what.schema_version, what.schema_id) == (2, "test.assembled/2")


def test_a_kind_is_action_and_a_severity_none_unless_said() -> None:
    """The defaults of a model that says only its type."""

    class Plain(TypedEvent, type="test.plain"):
        pass

    assert (Plain.kind, Plain.severity, Plain.schema_id) == (Kind.ACTION, None, "test.plain/1")


def test_a_class_without_a_type_is_an_error() -> None:
    """Also one that inherits from a class with a type: two classes of one type would be confused."""
    with pytest.raises(EventError, match="say its event type"):
        type("Nameless", (TypedEvent,), {})
    with pytest.raises(EventError, match="say its event type"):
        type("Child", (Decision,), {})


def test_an_abstract_class_gives_its_fields_and_is_no_event() -> None:
    """What several events share is written once."""

    class OfShip(TypedEvent, abstract=True):
        ship: str

    class Sailed(OfShip, type="test.sailed"):
        pass

    assert Sailed(ship="Ada").split()[1] == {"ship": "Ada"}
    with pytest.raises(EventError, match="abstract"):
        OfShip(ship="Ada").split()


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize("name", ["type", "kind", "severity", "schema_id"])
def test_a_field_cannot_be_called_as_a_fact_of_the_class(name: str) -> None:
    """It would hide the fact from everybody who records the event."""
    with pytest.raises(EventError, match=name):
        type("Wrong", (TypedEvent,), {"__annotations__": {name: str}, "__module__": __name__}, type="test.wrong")


def test_a_field_that_cannot_be_checked_is_an_error_where_it_is_written() -> None:
    """Not later, where the program emits."""
    with pytest.raises(PydanticSchemaGenerationError):

        class Wrong(TypedEvent, type="test.uncheckable"):
            lock: threading.Lock  # type: ignore[valid-type]

    with pytest.raises(EventError, match="Kind"):
        type("Wrong", (TypedEvent,), {}, type="test.kindless", kind="state")


def test_events_are_frozen() -> None:
    """What was emitted stays what it was."""
    with pytest.raises(ValidationError):
        MADE.turn = 4  # type: ignore[misc]


def test_an_event_comes_apart_into_common_fields_and_payload() -> None:
    """Common fields go to attributes; its own fields and details are the payload, as plain values."""
    common, payload = MADE.split()
    assert common == {"agent": "7", "turn": 3}
    assert payload == {
        "parts": [{"name": "wheel", "weight": 1.0}],
        "colour": "red",
        "at": "2026-01-02T00:00:00Z",
        "must_say": None,
    }
    assert Action(action_type="buy", details={"a": 1}).split()[1] == {"action_type": "buy", "details": {"a": 1}}


def test_each_split_is_the_callers_own() -> None:
    """Adding to what came out changes neither the event nor the next split."""
    event = Action(action_type="buy", action_payload={"n": [1]})
    common, payload = event.split()
    common["agent"] = "x"
    payload["action_payload"]["n"].append(2)
    assert event.split() == ({}, {"action_type": "buy", "action_payload": {"n": [1]}})


def test_a_serializer_of_ones_own_is_honoured() -> None:
    """A field that is masked in pydantic is masked in the archive, and an excluded one is not there."""

    class LoggedIn(TypedEvent, type="test.logged_in"):
        user: str
        password: str
        token: Annotated[str, PlainSerializer(lambda token: token[:2])]
        scratch: str = Field("", exclude=True)

        @field_serializer("password")
        def _mask(self, value: str) -> str:
            return "***"

    event = LoggedIn(user="ada", password="hunter2", token="abcdef", scratch="x")
    assert event.split()[1] == {"user": "ada", "password": "***", "token": "ab"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"decision_type": "x", "turn": "soon"}, "turn: expected a whole number, got 'soon'"),
        ({"turn": 1}, "decision_type: missing"),
        ({"decision_type": "x", "agnt": "a7"}, "agnt: unknown field; did you mean 'agent'?"),
        ({"decision_type": 7}, "decision_type: expected text, got 7"),
        ({"decision_type": "x", "details": [1]}, "details: expected a mapping, got [1 items]"),
        ({"decision_type": "x", "agent": [1]}, "agent: expected text, got [1 items]"),
    ],
)
def test_a_misfit_is_one_line_that_names_the_field_and_what_was_expected(fields: dict[str, Any], words: str) -> None:
    """Made directly or by `build`, the error is whence's own."""
    for make in (lambda: Decision(**fields), lambda: Decision.build(fields)):
        with pytest.raises(EventError) as caught:
            make()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "'decision'" in str(caught.value)


def test_all_misfits_are_named_at_once() -> None:
    """Nobody should have to find them one by one."""
    with pytest.raises(EventError) as caught:
        Assembled(parts=[{"weight": "heavy"}], colour="blue", at="later", turn="x")
    for words in (
        "parts.0.name: missing",
        "parts.0.weight: expected a number, got 'heavy'",
        "colour: expected one of 'red'",
    ):
        assert words in str(caught.value)
    for field in ("at", "turn", "must_say"):
        assert f"{field}: " in str(caught.value)


def test_an_agent_may_be_given_as_a_number() -> None:
    """Simulations number their agents."""
    assert TurnStart(turn=1, agent=7).agent == "7"


def test_trouble_has_a_severity_only_where_there_is_trouble() -> None:
    """The class answers with the worst it may come to, so that nobody suppresses it unseen."""
    assert System(status="ok").severity is None
    assert System(error_type="Timeout").severity is Severity.WARN
    assert System.severity is Severity.WARN
    assert isinstance(System.__dict__["severity"], When)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Decision(agent="a7", decision_type="price", old_value=10, new_value=12), "a7: price 10 -> 12"),
        (StateChange(variable_name="wind", new_value=0.1 + 0.2), "wind = 0.3"),
        (Action(agent="a", action_type="buy", action_payload={"n": 3, "of": [1, 2]}), "a: buy (n 3, of [2 items])"),
        (TaskCompleted(task="load", duration_ms=12.5), "load: completed in 12.5 ms"),
        (TurnStart(turn=3), "turn 3 starts"),
        (TurnStart(turn=3, description="market day"), "market day"),
        (MADE, "7: test.assembled"),
    ],
)
def test_an_event_describes_itself_in_one_line(event: TypedEvent, line: str) -> None:
    """With the description given, or else one made from its fields."""
    assert event.describe() == line


def test_lines_are_put_together_the_same_way_everywhere() -> None:
    """Changes and durations read alike in all vocabularies."""
    assert change_of("x", None, None) == "x = None"
    assert change_of("x", 1, None) == "x 1 -> None"
    assert lasted("done", None) == "done"


def test_an_event_is_written_with_its_type_first() -> None:
    """The tag by which it is read back; the schema's version is said where it is not the first."""
    assert json.loads(TaskCompleted(task="load", output=[1], duration_ms=2).to_json()) == {
        "type": "task.completed",
        "task": "load",
        "output": [1],
        "duration_ms": 2.0,
    }
    assert list(MADE.to_tagged())[:2] == ["type", "schema"]
    assert TaskCompleted(task="load", output=float("nan"), duration_ms=2).to_json().count('"NaN"') == 1


def test_an_event_can_be_pickled_and_copied() -> None:
    """Process pools send events around."""
    assert pickle.loads(pickle.dumps(MADE)) == MADE
    assert MADE.model_copy(update={"turn": 4}).turn == 4


def test_another_model_of_the_same_type_with_other_fields_is_an_error_that_names_both() -> None:
    """One type and version means one thing."""

    class First(TypedEvent, type="test.twice"):
        a: int

    with pytest.raises(EventError) as caught:

        class Second(TypedEvent, type="test.twice"):
            b: int

    assert "First" in str(caught.value)
    assert "Second" in str(caught.value)
    assert models["test.twice", 1] is First


def test_a_class_defined_anew_replaces_what_it_was() -> None:
    """Reloaded modules and notebook cells define their classes again, sometimes with another field."""

    def define(annotation: type) -> type[TypedEvent]:
        class Cell(TypedEvent, type="test.cell"):
            __annotations__ = {"value": annotation}

        return Cell

    define(int)
    again = define(str)
    assert models["test.cell", 1] is again
    assert again(value="x").split()[1] == {"value": "x"}
