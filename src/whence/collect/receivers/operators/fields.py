"""Operators that put fields elsewhere, add and take them away.

The law: pure. Source: pkg/stanza/docs/operators.
"""

from functools import cached_property
from typing import Any, Literal

import orjson
from pydantic import Field, model_validator

from whence.collect.receivers.operators import entry as entries
from whence.collect.receivers.operators.conditions import Condition
from whence.collect.receivers.operators.entry import MISSING, Dropped, Entry, Unfit
from whence.collect.receivers.operators.operator import Operator
from whence.event.misfits import Misfit
from whence.otlp.value import faithful


class Move(Operator):
    """A field to another place."""

    type: Literal["move"]
    from_: entries.Field = Field(alias="from")
    to: entries.Field

    def apply(self, entry: Entry, now: int) -> None:
        """Take and put. Raises Unfit."""
        value = self.from_.take(entry)
        if value is MISSING:
            raise Unfit("there is nothing to move")
        self.to.put(entry, value)


class Copy(Operator):
    """A field to another place too."""

    type: Literal["copy"]
    from_: entries.Field = Field(alias="from")
    to: entries.Field

    def apply(self, entry: Entry, now: int) -> None:
        """Put what is there. Raises Unfit."""
        value = self.from_.get(entry)
        if value is MISSING:
            raise Unfit("there is nothing to copy")
        self.to.put(entry, _own(value))


class Add(Operator):
    """A value that is always the same."""

    type: Literal["add"]
    field: entries.Field
    value: Any

    @model_validator(mode="after")
    def _plain(self) -> "Add":
        if isinstance(self.value, str) and self.value.startswith("EXPR("):
            raise Misfit("value: expressions are not evaluated here; use the processor transform")
        return self

    def apply(self, entry: Entry, now: int) -> None:
        """Put it. Raises Unfit."""
        self.field.put(entry, _own(self._given))

    @cached_property
    def _given(self) -> Any:
        return faithful(self.value)[0]


class Remove(Operator):
    """A field that goes."""

    type: Literal["remove"]
    field: entries.Field

    def apply(self, entry: Entry, now: int) -> None:
        """Take it away. Raises Unfit."""
        if self.field.take(entry) is MISSING:
            raise Unfit("there is nothing to remove")


class Retain(Operator):
    """Fields that stay; what else is in the body, the attributes or the resource goes, where one of these fields is in it."""

    type: Literal["retain"]
    fields: tuple[entries.Field, ...] = Field(min_length=1)

    def apply(self, entry: Entry, now: int) -> None:
        """Keep what is there of them. Raises Unfit."""
        kept = [(path, value) for path in self.fields if (value := path.get(entry)) is not MISSING]
        for root in {path.root for path in self.fields}:
            setattr(entry, root, {})
        for path, value in kept:
            path.put(entry, value)


class Flatten(Operator):
    """A map whose values go one level up."""

    type: Literal["flatten"]
    field: entries.Field

    @model_validator(mode="after")
    def _inside(self) -> "Flatten":
        if not self.field.keys:
            raise Misfit(
                f"field: {self.field.root} has no level above; name a map in it, such as {self.field.root}.name"
            )
        return self

    def apply(self, entry: Entry, now: int) -> None:
        """Put each value beside where the map was. Raises Unfit."""
        value = self.field.get(entry)
        if not isinstance(value, dict):
            raise Unfit("there is no map to flatten")
        self.field.take(entry)
        for key, inner in value.items():
            self.field._replace(keys=(*self.field.keys[:-1], key)).put(entry, inner)


class Noop(Operator):
    """Nothing."""

    type: Literal["noop"]

    def apply(self, entry: Entry, now: int) -> None:
        """Leave it."""


class Filter(Operator):
    """Entries that go where a condition holds."""

    type: Literal["filter"]
    expr: Condition
    drop_ratio: float = 1.0

    @model_validator(mode="after")
    def _all(self) -> "Filter":
        if self.drop_ratio != 1:
            raise Misfit("drop_ratio: every entry is dropped here; use the processor probabilistic_sampler")
        return self

    def apply(self, entry: Entry, now: int) -> None:
        """Let it pass, or not. Raises Dropped."""
        if self.expr.holds(entry):
            raise Dropped


def _own(value: Any) -> Any:
    """A map or list of its own: later operators may change it."""
    return orjson.loads(orjson.dumps(value)) if isinstance(value, (dict, list)) else value
