"""Typed events: a pydantic model an event type, which checks an event where it is made and gives it back when it is read.

    class PriceChanged(TypedEvent, type="price.changed", kind=Kind.STATE):
        product: str
        new_price: float = Field(description="in cents", ge=0)

The law: pure. Defining a model enters it in `models`, the table that `event/registry.py` answers from.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NamedTuple, Self, overload

import orjson
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, WrapSerializer

from whence.errors import EventError
from whence.event.flat import plain
from whence.event.kinds import ALWAYS, Kind, Severity
from whence.event.misfits import misfits, sentence
from whence.event.plain import SCALARS, brief, to_plain

COMMON: Final = ("agent", "turn", "task", "stage", "status", "correlation")
"""The fields every event may have that are attributes of their own in the archive; the others are its payload."""
_FACTS: Final = frozenset({"type", "kind", "severity", "least_verbosity", "schema_version", "schema_id"})

Label = Annotated[str, Field(coerce_numbers_to_str=True)]
"""A name or number that somebody gave to something; `7` is taken as `"7"`."""
Milliseconds = Annotated[float, Field(ge=0, description="how long it took, in milliseconds")]
"""Every duration in whence's vocabularies is in milliseconds, and its field is called `duration_ms`."""
MillisecondsIfKnown = Annotated[float | None, Field(ge=0, description="how long it took, in milliseconds")]

models: Final[dict[tuple[str, int], "type[TypedEvent]"]] = {}
"""Every model by event type and schema version. Filled by defining models; read by `event/registry.py`."""


class When:
    """A severity that depends on a field: `severity=When("error_type", Severity.WARN)` is WARN where `error_type` is set.

    Asked of the class, it is the severity its events may come to, so that none of them is suppressed unseen.
    """

    def __init__(self, field: str, severity: Severity) -> None:
        self.field = field
        self.severity = severity

    @overload
    def __get__(self, event: None, owner: type) -> Severity: ...
    @overload
    def __get__(self, event: object, owner: type) -> Severity | None: ...
    def __get__(self, event: object | None, owner: type) -> Severity | None:
        return self.severity if event is None or getattr(event, self.field) else None


class _Plan(NamedTuple):
    """How a class's events are taken apart; made once a class."""

    payload: tuple[tuple[str, bool], ...]
    """Each payload field, and whether it is written when it is None: where None is what somebody had to say."""
    dumped: frozenset[str]
    """Payload fields with a serializer of their own, such as one that masks a secret."""


class TypedEvent(BaseModel):
    """What every event may carry besides its own fields. Frozen; an unknown field is an error.

    Subclasses say `type` (required), and `kind` (ACTION by default), `severity` (a Severity, or `When`; none by default) and
    `version` (1) as class keywords: `class TaskFailed(TypedEvent, type="task.failed", severity=Severity.ERROR)`. A class that
    is only there to be inherited from says `abstract=True` instead. Making an event raises EventError naming each field that
    does not fit.
    """

    # Not `defer_build`, though it would start faster: building on first use is not thread-safe before pydantic 2.14.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, protected_namespaces=())

    type: ClassVar[str] = ""
    """The EventName."""
    kind: ClassVar[Kind] = Kind.ACTION
    severity: ClassVar[Severity | None] = None
    least_verbosity: ClassVar[int] = Kind.ACTION.needs
    """Below it no event of the class is recorded; 0 where the severity may lift its events above any verbosity."""
    schema_version: ClassVar[int] = 1
    schema_id: ClassVar[str] = ""
    """`<type>/<version>`: what `whence.schema` says in the archive."""
    _plan: ClassVar[_Plan | None] = None

    agent: Label | None = Field(default=None, description="who did it")
    turn: int | None = Field(default=None, description="the turn, step or tick it belongs to")
    task: Label | None = Field(default=None, description="the task it belongs to")
    stage: Label | None = Field(default=None, description="the stage it belongs to")
    status: str | None = Field(default=None, description="how things stand now")
    correlation: Label | None = Field(
        default=None, description="what ties it to others: a session, a request, a document"
    )
    description: str | None = Field(
        default=None, description="one line for people; made from the fields where not given"
    )
    details: dict[str, Any] | None = Field(default=None, description="anything else")

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,
        kind: Kind | None = None,
        severity: "Severity | When | None" = None,
        version: int = 1,
        abstract: bool = False,
        **config: Any,
    ) -> None:
        super().__init_subclass__(**config)
        if abstract != (type is None) or type == "":
            raise EventError(
                f"cannot define {cls.__qualname__}: say its event type, as in class {cls.__name__}(TypedEvent, "
                'type="thing.happened"), or abstract=True where it is only there to be inherited from'
            )
        if kind is not None and not isinstance(kind, Kind):
            raise EventError(
                f"cannot define {cls.__qualname__}: expected kind=Kind.ACTION or another Kind, got {kind!r}"
            )
        cls._plan = None
        cls.type = type or ""
        cls.schema_version = version
        cls.schema_id = f"{type}/{version}" if type else ""
        if kind is not None:
            cls.kind = kind
        if severity is not None:
            cls.severity = severity  # type: ignore[assignment]  # When answers with a severity, on class and event alike
        cls.least_verbosity = 0 if cls.severity is not None and cls.severity >= ALWAYS else cls.kind.needs

    @classmethod
    def __pydantic_init_subclass__(cls, **keywords: Any) -> None:
        super().__pydantic_init_subclass__()
        taken = sorted(_FACTS & cls.model_fields.keys())
        if taken:
            raise EventError(
                f"cannot define {cls.__qualname__}: {taken[0]!r} is a fact of the whole class, said as a class keyword; "
                "give the field another name"
            )
        if cls.type:
            _enter(cls)

    if not TYPE_CHECKING:  # type checkers make each class's own signature from its fields

        def __init__(self, /, **fields: Any) -> None:
            """Raises EventError for fields that do not fit."""
            try:
                self.__pydantic_validator__.validate_python(fields, self_instance=self)
            except ValidationError as error:
                raise misfit(type(self), error) from None

        # So that pydantic validates without a detour through Python here too, and nested errors stay whole.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def build(cls, fields: Mapping[str, Any]) -> Self:
        """An event of these fields. Raises EventError naming each field that does not fit."""
        return cls(**fields)

    def split(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The common fields that are set, and the payload: the event's own fields and `details`, as plain copies.

        A payload field that is None is left out where None is its default.
        """
        values = self.__dict__
        plan = self._plan or _plan_of(type(self))
        common = {}
        for name in COMMON:
            value = values[name]
            if value is not None:
                common[name] = value if type(value) in SCALARS else to_plain(value)
        payload = {}
        for name, even_none in plan.payload:
            value = values[name]
            if value is not None:
                payload[name] = value if type(value) in SCALARS else to_plain(value)
            elif even_none:
                payload[name] = None
        if plan.dumped:
            payload.update(to_plain(self.model_dump(include=set(plan.dumped))))
        return common, payload

    def describe(self) -> str:
        """One line for people: the description given, else the `summary` of the fields."""
        return self.summary() if self.description is None else self.description

    def summary(self) -> str:
        """One line made from the fields, for events without a description. Models override it; it must be cheap."""
        return self.line(self.type)

    def line(self, what: str) -> str:
        """`what`, after who it was: `a7: price 10 -> 12`."""
        who = self.agent or self.task or self.stage
        return f"{who}: {what}" if who else what

    def to_tagged(self) -> dict[str, Any]:
        """The event as one plain dict with its type first: `{"type": "task.started", "task": "extract", ...}`.

        A `schema` is said where its version is not 1. `registry.from_tagged` reads it back.
        """
        common, payload = self.split()
        tag = {"type": self.type} if self.schema_version == 1 else {"type": self.type, "schema": self.schema_id}
        said = {} if self.description is None else {"description": self.description}
        return {**tag, **common, **said, **payload}

    def to_json(self) -> str:
        """`to_tagged` as JSON text."""
        return orjson.dumps(plain(self.to_tagged())).decode()


def change_of(what: str, old: Any, new: Any) -> str:
    """`price 10 -> 12`; without an old value `price = 12`."""
    return f"{what} = {brief(new)}" if old is None else f"{what} {brief(old)} -> {brief(new)}"


def lasted(what: str, duration_ms: float | None) -> str:
    """`completed in 12.5 ms`, or only what happened where the duration is not known."""
    return what if duration_ms is None else f"{what} in {duration_ms:.6g} ms"


def misfit(model: type[TypedEvent], error: ValidationError) -> EventError:
    """Pydantic's complaint about a model's fields as ours, in one line."""
    return EventError(f"cannot make a {model.type!r} event: {sentence(misfits(error, model.model_fields))}")


def _plan_of(model: type[TypedEvent]) -> _Plan:
    if not model.type:
        raise EventError(
            f"cannot emit {model.__qualname__}: it is abstract; emit one of the models that inherit from it"
        )
    dumped = {
        name
        for serializer in model.__pydantic_decorators__.field_serializers.values()
        for name in serializer.info.fields
    }
    payload = []
    for name, field in model.model_fields.items():
        if name in COMMON or name == "description" or field.exclude:
            continue
        if any(isinstance(item, (PlainSerializer, WrapSerializer)) for item in field.metadata):
            dumped.add(name)
        payload.append((name, field.is_required() or field.default is not None))
    own = {name for name, _ in payload}
    model._plan = _Plan(tuple(item for item in payload if item[0] not in dumped), frozenset(dumped & own))
    return model._plan


def _enter(model: type[TypedEvent]) -> None:
    """Put a model in the table. A class defined anew (a reloaded module, a notebook's cell) replaces what it was."""
    key = (model.type, model.schema_version)
    known = models.get(key)
    if known is not None and _name(known) != _name(model) and _shape(known) != _shape(model):
        raise EventError(
            f"cannot define {_name(model)}: {_name(known)} already is the model of {model.type!r} version "
            f"{model.schema_version}, with other fields; choose another type, or a higher version"
        )
    models[key] = model


def _name(model: type[TypedEvent]) -> str:
    return f"{model.__module__}.{model.__qualname__}"


def _shape(model: type[TypedEvent]) -> dict[str, tuple[str, bool]]:
    return {name: (repr(field.annotation), field.is_required()) for name, field in model.model_fields.items()}
