"""Chosen variables of a world and its agents: what they were when last looked at, and what has changed since.

The law: pure; only what is given is looked at, and nothing of it is changed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

_ABSENT: Final = object()
_COPIED: Final = (list, dict, set, bytearray)


class Change(NamedTuple):
    """A variable's name, its value when last looked at (None the first time), and its value now."""

    name: str
    old: Any
    new: Any


class Seen(NamedTuple):
    """An object's variables when last looked at: those it has, how to read them all, and what they were.

    The object is held, so that its id, by which it is known, is not given to another.
    """

    owner: object
    names: tuple[str, ...]
    read: Callable[[object], tuple[Any, ...]]
    values: tuple[Any, ...]


class Variables:
    """The chosen variables of any number of objects, as last seen. A dotted name reaches into an object: `wallet.cash`.

    Lists, dicts, sets and numpy arrays are copied one level deep, so that changes made in place are seen.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._getters = {name: attrgetter(name) for name in names}
        self._seen: dict[int, Seen] = {}

    def look(self, owners: Iterable[object], *, anew: bool = False) -> Iterator[tuple[object, Change]]:
        """What changed in each of these since the last look, with whose it is; on its first, every variable it has.

        `anew`: also variables that an object did not have before.
        """
        seen = self._seen
        for owner in owners:
            known = None if anew else seen.get(id(owner))
            if known is None:
                yield from self._changes(owner)
            elif known.names:
                # Nearly every look finds nothing: that it costs little is what lets a model be looked at step by step.
                try:
                    same = known.read(owner) == known.values
                except Exception:  # noqa: BLE001 - a variable that is gone, values that do not compare
                    same = False
                if not same:
                    yield from self._changes(owner)

    def keep_only(self, owners: Sequence[object]) -> None:
        """Forget the objects that are not among these."""
        if len(owners) < len(self._seen):
            kept = {id(owner) for owner in owners}
            self._seen = {key: seen for key, seen in self._seen.items() if key in kept}

    def _changes(self, owner: object) -> list[tuple[object, Change]]:
        now = {name: value for name, getter in self._getters.items() if (value := _read(getter, owner)) is not _ABSENT}
        known = self._seen.get(id(owner))
        before = dict(zip(known.names, known.values, strict=True)) if known is not None else {}
        changes = [
            (owner, Change(name, before.get(name), value))
            for name, value in now.items()
            if name not in before or not _equal(before[name], value)
        ]
        if changes or known is None or len(now) < len(before):
            self._seen[id(owner)] = Seen(owner, tuple(now), _reader(tuple(now)), tuple(map(_copy, now.values())))
        return changes


class Watch:
    """The chosen variables of a world and of the agents it has at the time. See `Story.watch`."""

    def __init__(
        self,
        world: object,
        variables: Sequence[str],
        agents: Callable[[], Iterable[object]],
        agent_variables: Sequence[str],
        *,
        one_at_a_time: bool,
    ) -> None:
        self.world = world
        self._agents = agents
        self._one_at_a_time = one_at_a_time
        self._names = (tuple(variables), tuple(agent_variables))
        self._started = True
        self.forget()

    def forget(self) -> None:
        """Begin anew: the next look finds every variable, as the first one did."""
        if self._started:
            self._of_world, self._of_agents = Variables(self._names[0]), Variables(self._names[1])
            self._started = False

    def look(self, acting: object | None, *, everyone: bool) -> Iterator[tuple[object, Change]]:
        """Each change since the last look, with whose it is: of `acting` alone where others may act at the same time."""
        self._started = True
        if not (everyone or self._one_at_a_time):
            if acting is not None:
                yield from self._of_agents.look((acting,))
            return
        yield from self._of_world.look((self.world,), anew=everyone)
        agents = list(self._agents())
        yield from self._of_agents.look(agents, anew=everyone)
        self._of_agents.keep_only(agents)


def _reader(names: tuple[str, ...]) -> Callable[[object], tuple[Any, ...]]:
    if len(names) == 1:
        getter = attrgetter(names[0])
        return lambda owner: (getter(owner),)
    return attrgetter(*names) if names else lambda owner: ()


def _read(getter: "attrgetter[Any]", owner: object) -> Any:
    try:
        return getter(owner)
    except AttributeError:
        return _ABSENT


def _equal(one: Any, other: Any) -> bool:
    """Equality for any values: NaN equals NaN, arrays are equal where all of their elements are."""
    if one is other:
        return True
    try:
        same = one == other
        if same is True:
            return True
        same |= (one != one) & (other != other)  # noqa: PLR0124 - NaN is what differs from itself
        return same if isinstance(same, bool) else bool(same.all())
    except Exception:  # noqa: BLE001 - the values' own code: what cannot be compared has changed
        return False


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, _COPIED) or hasattr(value, "__array__") else value
