"""Models by the name and version of their event type: to check what is emitted, and to understand what was recorded.

The law: pure. Models enter by being defined (`event/typed.py`) or, a plain pydantic model, by `register`.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, cast

import orjson
from pydantic import BaseModel, create_model

from whence.errors import EventError
from whence.event.kinds import Kind, Severity
from whence.event.misfits import nearest
from whence.event.model import Event
from whence.event.typed import COMMON, TypedEvent, When, models
from whence.event.vocabularies import hook, job, own, pipeline, processing, simulation, workflow

VOCABULARIES: Final[tuple[ModuleType, ...]] = (simulation, workflow, job, pipeline, hook, processing, own)
"""The ready-made ones, in the order in which docs/events.md shows them. A new one is a file and its name here."""

Model = type[TypedEvent]
Upcast = Callable[[dict[str, Any]], Mapping[str, Any]]
_upcasts: Final[dict[tuple[str, int], Upcast]] = {}


def register(
    model: type[BaseModel],
    *,
    type: str | None = None,
    kind: Kind = Kind.ACTION,
    severity: Severity | When | None = None,
    version: int = 1,
) -> type[TypedEvent]:
    """Make any pydantic model an event model; gives the model to emit with: `Price = register(PriceModel, type="price.set")`.

    A TypedEvent is registered by being defined: it is given back as it is, and takes no keywords here.
    Raises EventError where another model, of other fields, has that type and version.
    """
    if issubclass(model, TypedEvent):
        if type not in (None, model.type):
            raise EventError(f"cannot register {model.__qualname__} as {type!r}: its class says {model.type!r}")
        models[model.type, model.schema_version] = model
        return model
    if type is None:
        raise EventError(
            f"cannot register {model.__qualname__}: say its event type, as in register(..., type='thing.happened')"
        )
    keywords = {"type": type, "kind": kind, "severity": severity, "version": version}
    bases = cast("tuple[Model, ...]", (model, TypedEvent))
    return create_model(
        model.__name__, __base__=bases, __module__=model.__module__, __doc__=model.__doc__, __cls_kwargs__=keywords
    )


def upcasts(type: str, version: int) -> Callable[[Upcast], Upcast]:
    """Declare how a payload of `version` becomes one of the next: a function from the old fields to the new ones.

    @upcasts("price.changed", 1)
    def _(old):
        return {"product": old["item"], "new_price": old["price"]}
    """

    def declare(function: Upcast) -> Upcast:
        _upcasts[type, version] = function
        return function

    return declare


def versions(type: str) -> list[int]:
    """The versions of a type's models, ascending; none for a type without a model."""
    return sorted(version for name, version in models if name == type)


def types() -> list[str]:
    """Every event type that has a model, sorted."""
    return sorted({name for name, _ in models})


def model_for(type: str, version: int | None = None) -> type[TypedEvent] | None:
    """The model of an event type: of that version, or the latest; None where there is none."""
    if version is None:
        known = versions(type)
        return models[type, known[-1]] if known else None
    return models.get((type, version))


def validate(type: str, payload: Mapping[str, Any], version: int | None = None) -> TypedEvent:
    """The payload as an event of the model registered for this type. A payload of an older version is brought up to the
    latest by the declared upcasts, as far as they go.

    Raises EventError where there is no such model, and naming each field that does not fit.
    """
    latest = model_for(type)
    if latest is None:
        raise EventError(f"cannot validate {type!r}: no model is registered for this type{nearest(type, types())}")
    version = latest.schema_version if version is None else version
    fields = dict(payload)
    while version < latest.schema_version and (type, version) in _upcasts:
        fields = _upcast(type, version, fields)
        version += 1
    model = model_for(type, version)
    if model is None:
        known = ", ".join(map(str, versions(type)))
        raise EventError(
            f"cannot validate {type!r}: no model is registered for its version {version}, only for {known}"
        )
    return model.build(fields)


def _upcast(type: str, version: int, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(_upcasts[type, version](fields))
    except Exception as fault:
        raise EventError(f"cannot bring {type!r} from version {version} to {version + 1}: {fault!r}") from fault


def from_tagged(tagged: Mapping[str, Any] | str | bytes) -> TypedEvent:
    """The event that `TypedEvent.to_tagged` or `to_json` wrote. Raises EventError where it is not one, or does not fit."""
    if isinstance(tagged, (str, bytes)):
        try:
            tagged = orjson.loads(tagged)
        except orjson.JSONDecodeError as fault:
            raise EventError(f"cannot read an event: not JSON: {fault}") from None
    if not isinstance(tagged, Mapping) or not isinstance(tagged.get("type"), str):
        raise EventError('cannot read an event: expected a JSON object with its "type"')
    fields = {name: value for name, value in tagged.items() if name not in ("type", "schema")}
    type, version = _schema(tagged["type"], tagged.get("schema"))
    return validate(type, fields, 1 if version is None else version)


def typed(event: Event) -> TypedEvent | None:
    """A recorded event as its model's, with its fields checked and typed; older versions are brought up to date.

    None where no model is registered for it, or where it was recorded without a schema and is no such event after all.
    Raises EventError where it says a schema and does not fit it.
    """
    type, version = _schema(event.type, event.schema)
    if event.schema is None:
        if model_for(type) is None:
            return None
    elif not any(known >= (version or 1) for known in versions(type)):
        return None
    common = {name: getattr(event, name) for name in (*COMMON, "description")}
    fields = {**{name: value for name, value in common.items() if value is not None}, **event.payload}
    try:
        return validate(type, fields, version)
    except EventError:
        if event.schema is None:
            return None
        raise


def _schema(type: str, schema: object) -> tuple[str, int | None]:
    """The type and version that `<type>/<version>` names; of a schema not written so, the type alone."""
    name, slash, version = str(schema or "").rpartition("/")
    return (name, int(version)) if slash and version.isdecimal() else (type, None)
