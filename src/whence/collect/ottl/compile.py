"""Trees to closures: a statement that changes a place, a condition that asks one.

The law: pure; the clock is given. All names are resolved, and all constants checked, when the closure is made: OttlError has
the place. The closures raise Failure and nothing else.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, Final, NamedTuple

from whence.collect.ottl import arguments, digests, editors, texts, times, values
from whence.collect.ottl.calculate import COMPARE, calculate, kind_name
from whence.collect.ottl.contexts import AROUND, ENUMS, PATHS, SPELLINGS, Context
from whence.collect.ottl.errors import Failure, OttlError, complaint, nearest
from whence.collect.ottl.fields import Access, storable
from whence.collect.ottl.functions import CONVERTERS, EDITORS, Function, Target, bounded, fitting
from whence.collect.ottl.tree import (
    Arithmetic,
    Both,
    Call,
    Compare,
    Condition,
    Constant,
    Either,
    Items,
    Name,
    Negation,
    Pairs,
    Path,
    Statement,
    Truth,
    Value,
)
from whence.collect.records.draft import Attributes
from whence.collect.records.walk import Place

FUNCTIONS: Final = (digests, editors, texts, times, values)
"""The files whose functions are known."""

Read = Callable[[Place], Any]
Ask = Callable[[Place], bool]
Act = Callable[[Place], None]
Clock = Callable[[], int]

_BROKEN: Final = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


class Scope(NamedTuple):
    """Where a text stands: what its paths mean."""

    text: str
    context: Context
    prefixed: bool
    """Whether every path must begin with its context, since the statement does not say it elsewhere."""
    now: Clock


def statement(tree: Statement, scope: Scope) -> Act:
    """What the statement does at a place of its context."""
    act = _Compiler(scope).edit(tree.editor)
    where = None if tree.where is None else condition(tree.where, scope)

    def run(place: Place) -> None:
        try:
            if where is None or where(place):
                act(place)
        except Failure:
            raise
        except _BROKEN as cause:
            raise Failure(f"cannot do this with what the record holds ({type(cause).__name__})") from cause

    return run


def condition(tree: Condition, scope: Scope) -> Ask:
    """Whether the condition is true of a place of its context."""
    ask = _Compiler(scope).condition(tree)

    def run(place: Place) -> bool:
        try:
            return ask(place)
        except Failure:
            raise
        except _BROKEN as cause:
            raise Failure(f"cannot do this with what the record holds ({type(cause).__name__})") from cause

    return run


class _Compiler:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def _wrong(self, at: int, problem: str) -> OttlError:
        return complaint(self._scope.text, at, problem)

    # --- conditions

    def condition(self, tree: Condition) -> Ask:
        match tree:
            case Compare(operator, left, right):
                compare, first, second = COMPARE[operator], self.read(left), self.read(right)
                return lambda place: compare(first(place), second(place))
            case Truth(value):
                return self._truth(value)
            case Negation(part):
                ask = self.condition(part)
                return lambda place: not ask(place)
            case Both(parts):
                asks = [self.condition(part) for part in parts]
                return lambda place: all(ask(place) for ask in asks)
            case Either(parts):
                asks = [self.condition(part) for part in parts]
                return lambda place: any(ask(place) for ask in asks)

    def _truth(self, value: Constant | Call) -> Ask:
        read = self.read(value)
        name = value.name if isinstance(value, Call) else ""

        def ask(place: Place) -> bool:
            found = read(place)
            if not isinstance(found, bool):
                raise Failure(f"{name} gives {kind_name(found)}, not a bool: compare it")
            return found

        return ask

    # --- values

    def read(self, value: Value) -> Read:
        match value:
            case Constant(constant):
                return lambda place: constant
            case Name(name, at):
                if name not in ENUMS:
                    raise self._wrong(at, f"there is no enum {name}{nearest(name, ENUMS)}")
                number = ENUMS[name]
                return lambda place: number
            case Items(items):
                reads = [self.read(item) for item in items]
                return lambda place: [read(place) for read in reads]
            case Pairs(pairs):
                named = [(key, self.read(item)) for key, item in pairs]
                return lambda place: {key: read(place) for key, read in named}
            case Arithmetic(operator, left, right):
                first, second = self.read(left), self.read(right)
                return lambda place: calculate(operator, first(place), second(place))
            case Path():
                return self._reading(value)
            case Call(name, _, keys, at):
                call = self._call(self._converter(name, at), value)
                return self._into(call, [self.read(key) for key in keys])

    def _into(self, read: Read, keys: list[Read]) -> Read:
        if not keys:
            return read

        def look(place: Place) -> Any:
            found = read(place)
            for key in keys:
                found = _step(found, key(place))
            return found

        return look

    # --- paths

    def _access(self, path: Path) -> Access:
        names, context = path.names, self._scope.context
        if len(names) > 1 and names[0] in SPELLINGS:
            named = SPELLINGS[names[0]]
            if named not in (context, *AROUND[context]):
                raise self._wrong(path.at, f"{named} is not seen from the context {context}")
            context, names = named, names[1:]
        elif self._scope.prefixed:
            raise self._wrong(
                path.at, f"this path does not say whose it is; write {context}.{'.'.join(names)}, or set the context"
            )
        access = PATHS[context].get(".".join(names))
        if access is None:
            known = list(PATHS[context])
            raise self._wrong(path.at, f"there is no {'.'.join(names)} in {context}{nearest('.'.join(names), known)}")
        return access

    def _reading(self, path: Path) -> Read:
        access, keys = self._access(path), [self.read(key) for key in path.keys]
        if not keys or access.edit is None:
            return self._into(access.read, keys)
        edit, first = access.edit, keys[0]

        def one(place: Place) -> Any:
            key = first(place)
            if not isinstance(key, str):
                raise Failure(f"cannot look into a map by {kind_name(key)}")
            return edit(place).get(key)

        return self._into(one, keys[1:])

    def target(self, value: Value, function: str) -> Target:
        """What an editor changes."""
        if not isinstance(value, Path):
            at = value.at
            raise self._wrong(at, f"{function} changes what is named by a path, and this is none")
        access, keys = self._access(value), [self.read(key) for key in value.keys]
        if access.write is None:
            raise self._wrong(value.at, f"{'.'.join(value.names)} cannot be changed")
        if not keys:
            return Target(access.read, access.write, access.edit)
        return Target(self._reading(value), self._writing(access, keys))

    def _writing(self, access: Access, keys: list[Read]) -> Callable[[Place, Any], None]:
        read, write, edit = access.read, access.write, access.edit

        def put(place: Place, new: Any) -> None:
            found = [key(place) for key in keys]
            if edit is None:
                assert write is not None
                write(place, _with(read(place), found, new))
                return
            holder: MutableMapping[str, Any] = edit(place)
            first, *rest = found
            if not isinstance(first, str):
                raise Failure(f"cannot look into a map by {kind_name(first)}")
            value = _with(holder.get(first), rest, new) if rest else new
            holder[first] = storable(value) if isinstance(holder, Attributes) else value

        return put

    # --- functions

    def edit(self, call: Call) -> Act:
        """What an editor does."""
        function = EDITORS.get(call.name)
        if function is None:
            raise self._wrong(call.at, f"the editor {call.name} is not supported{nearest(call.name, EDITORS)}")
        return self._call(function, call)

    def _converter(self, name: str, at: int) -> Function:
        function = CONVERTERS.get(name)
        if function is None:
            raise self._wrong(at, f"the converter {name} is not supported{nearest(name, CONVERTERS)}")
        return function

    def _call(self, function: Function, call: Call) -> Read:
        given = arguments.bind(function, call, self._scope.text)
        reads = [arguments.reader(self, self._scope.text, function, parameter, value) for parameter, value in given]
        run, name = function.call, function.name
        hidden = arguments.hidden(function, self._scope.now)
        if hidden is not None:
            return lambda place: bounded(name, run(hidden(place), *[read(place) for read in reads]))
        if len(reads) == 1:
            first = reads[0]
            return lambda place: bounded(name, run(first(place)))
        return lambda place: bounded(name, run(*[read(place) for read in reads]))

    def function_of(self, value: Value) -> Callable[[Any], Any]:
        """A converter handed over by name. It must take one value."""
        if not isinstance(value, Name):
            raise self._wrong(value.at, "expected the name of a converter, such as SHA256")
        function = self._converter(value.name, value.at)
        if len(function.parameters) != 1 or function.hidden:
            raise self._wrong(value.at, f"{value.name} does not take exactly one value")
        return lambda given: function.call(fitting(function.name, function.parameters[0], given))


# --- looking into values --------------------------------------------------------------------------------------------------


def _step(value: Any, key: Any) -> Any:
    """What stands under a key of a map or at an index of a list; nil where nothing does."""
    if value is None:
        return None
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
        if 0 <= key < len(value):
            return value[key]
        raise Failure(f"cannot look at index {key} of a list of {len(value)}")
    raise Failure(f"cannot look into {kind_name(value)} by {kind_name(key)}")


def _with(value: Any, keys: list[Any], new: Any) -> Any:
    """A value with another one under these keys; maps that are not there are made."""
    if not keys:
        return new
    key, *rest = keys
    if value is None and isinstance(key, str):
        value = {}
    if isinstance(value, dict) and isinstance(key, str):
        return {**value, key: _with(value.get(key), rest, new)}
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return [*value[:key], _with(value[key], rest, new), *value[key + 1 :]]
    raise Failure(f"cannot look into {kind_name(value)} by {kind_name(key)}")
