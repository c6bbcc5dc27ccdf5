"""Who asks, what of the archive they may see, and in which form.

The law: pure. Every door puts `visible_to` around what it asks the engine, and `shown_to` around what it gives out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from whence.event import names
from whence.event.model import Event
from whence.filter.match import Matcher, matcher
from whence.filter.selection import joined
from whence.filter.tree import (
    Both,
    Caused,
    CausedBy,
    Compare,
    Either,
    Everything,
    Exists,
    Filter,
    Negation,
    Path,
)
from whence.serve.access.mask import Mask
from whence.serve.settings import Role

EVERYTHING: Final[Filter] = Everything()
ROLES: Final[tuple[Role, ...]] = ("read", "write", "admin")
"""Each may do what those before it may."""
_AUDIT: Final = Path("attributes", (names.AUDIT,))
NO_AUDIT: Final[Filter] = Either((Negation(Exists(_AUDIT)), Compare(_AUDIT, "=", False)))
"""What is surely no audit event."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks. `visible`: the events they may see, as a filter without causal conditions."""

    name: str
    role: Role = "read"
    visible: Filter = EVERYTHING
    audit: bool = False
    """Whether audit events may be seen."""
    mask: Mask | None = None
    """What is hidden in the events that may be seen."""

    def may(self, role: Role) -> bool:
        """Whether they have this role, or one above it."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def sees_all(self) -> bool:
        """Whether no event is kept from them."""
        return self.audit and isinstance(self.visible, Everything)


ANYBODY: Final = Caller("anybody", "admin", audit=True)
"""Who asks where nobody has to say who they are."""


def wall_of(caller: Caller) -> Filter:
    """The filter of all that a caller may see."""
    return joined([caller.visible, EVERYTHING if caller.audit else NO_AUDIT])


def hidden_from(caller: Caller, paths: Iterable[Path]) -> Path | None:
    """The first of these paths whose values the caller's mask hides by key: who could ask about them could guess them."""
    return None if caller.mask is None else next(filter(caller.mask.hides_path, paths), None)


def visible_to(caller: Caller, tree: Filter) -> Filter:
    """What a caller asks for, of what they may see; so are the causes and effects that the filter asks about."""
    if caller.sees_all:
        return tree
    wall = wall_of(caller)
    return joined([wall, _within(tree, wall)])


def _within(tree: Filter, wall: Filter) -> Filter:
    """The filter with its questions about other events asked of those in the wall only."""
    match tree:
        case Both(parts):
            return Both(tuple(_within(part, wall) for part in parts))
        case Either(parts):
            return Either(tuple(_within(part, wall) for part in parts))
        case Negation(part):
            return Negation(_within(part, wall))
        case CausedBy(by, hops, ns):
            return CausedBy(joined([wall, _within(by, wall)]), hops, ns)
        case Caused(what, hops, ns):
            return Caused(joined([wall, _within(what, wall)]), hops, ns)
    return tree


def sees(caller: Caller) -> Matcher:
    """Whether a caller may see an event, as a test: true, or anything else for no."""
    return matcher(wall_of(caller))


def shown_to(caller: Caller, event: Event) -> Event:
    """An event that a caller may see, as they may see it."""
    return event if caller.mask is None else caller.mask.event(event)
