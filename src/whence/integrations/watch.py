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


class Variables:
    """The chosen variables of any number of objects, as last seen. A dotted name reaches into an object: `wallet.cash`.

    Lists, dicts, sets and numpy arrays are copied one level deep, so that changes made in place are seen.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._getters = tuple(attrgetter(name) for name in self._names)
        # By identity, since agents are often not hashable; the owner is held so that its id is not given to another.
        self._seen: dict[int, tuple[object, tuple[Any, ...]]] = {}

    def look(self, owner: object) -> Sequence[Change]:
        """What changed in this object since the last look; on the first, every variable it has."""
        if not self._names:
            return ()
        values = tuple([_read(getter, owner) for getter in self._getters])
        _, seen = self._seen.get(id(owner), (None, None))
        if seen is None:
            seen = (_ABSENT,) * len(values)
        elif _equal(values, seen):
            return ()
        changes = [
            Change(name, None if old is _ABSENT else old, new)
            for name, old, new in zip(self._names, seen, values, strict=True)
            if new is not _ABSENT and not _equal(old, new)
        ]
        self._seen[id(owner)] = (owner, tuple([_copy(value) for value in values]))
        return changes

    def keep_only(self, owners: Iterable[object]) -> None:
        """Forget the objects that are not among these."""
        kept = {id(owner) for owner in owners}
        if len(kept) < len(self._seen):
            self._seen = {key: seen for key, seen in self._seen.items() if key in kept}


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
                yield from ((acting, change) for change in self._of_agents.look(acting))
            return
        yield from ((self.world, change) for change in self._of_world.look(self.world))
        agents = list(self._agents())
        for agent in agents:
            for change in self._of_agents.look(agent):
                yield agent, change
        self._of_agents.keep_only(agents)


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
