"""TraceQL to the filter tree: conditions on one span and on its trace, in braces, with Tempo's names and typed comparisons.

The law: pure. What is not known here is an Unsupported that names it. Source: Tempo v3.0, pkg/traceql.
"""

import re
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple, cast

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from whence.event import names
from whence.filter.selection import joined
from whence.filter.tree import Both, Compare, Either, Everything, Exists, Filter, Matches, Negation, Operator, Path
from whence.filter.values import regex
from whence.serve.jaeger.asked import BadQuery
from whence.serve.jaeger.search import FAILED, SPAN_KINDS, of_kind, of_service, own_field
from whence.serve.jaeger.words import duration_of
from whence.serve.tempo.on_trace import DURATIONS, ON_TRACE, OnTrace

LONGEST: Final = 8_192
DEEPEST: Final = 50
_OPERATORS: Final = (">>", "<<", "!>>", "&>>", "~", ">", "<", "&&", "||", "|")
_IN_TREES: Final = ("nestedSetLeft", "nestedSetRight", "nestedSetParent", "childCount", "span:childCount")
_TEXTS: Final = {
    "name": Path("type"), "span:name": Path("type"), "span:id": Path("span_id"), "trace:id": Path("trace_id"),
    "span:parentID": Path("parent_span_id"), "statusMessage": Path("attributes", (names.SPAN_STATUS_MESSAGE,)),
    "span:statusMessage": Path("attributes", (names.SPAN_STATUS_MESSAGE,)),
    "instrumentation:name": Path("scope", ("name",)), "instrumentation:version": Path("scope", ("version",)),
}  # fmt: skip
_DURATIONS: Final = ("duration", "span:duration")
_STATUSES: Final = ("status", "span:status")
_KINDS: Final = ("kind", "span:kind")
INTRINSICS: Final = ("duration", "kind", "name", "status", "statusMessage")
"""Those that are offered where tags are listed."""
SCOPES: Final = ("resource", "span", "instrumentation", "event", "link", "parent")
STATUS_WORDS: Final = ("error", "ok", "unset")
_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SERVICE: Final = Path("resource", (names.SERVICE_NAME,))


class Unsupported(BadQuery):
    """What Tempo understands and whence does not."""


class Query(NamedTuple):
    """The spans that are asked for, and what must hold of the trace that such a span is in."""

    tree: Filter
    on_trace: tuple[OnTrace, ...] = ()


def query_of(text: str) -> Query:
    """What a query asks for; of no text, every span. Raises BadQuery."""
    if not text.strip():
        return Query(Everything())
    if len(text) > LONGEST or len(re.findall(r"\(|!(?![=~])", text)) > DEEPEST:
        raise BadQuery(
            f"cannot read the TraceQL: it is longer than {LONGEST:,} characters or deeper than {DEEPEST} levels"
        )
    try:
        return cast(Query, _Building().transform(_parser().parse(text)))
    except UnexpectedInput as fault:
        at = fault.pos_in_stream if isinstance(fault.pos_in_stream, int) and fault.pos_in_stream >= 0 else len(text)
        raise BadQuery(
            f"cannot read the TraceQL at character {at + 1}, {text[at : at + 20]!r}: expected conditions in braces,"
            ' such as { resource.service.name = "shop" && duration > 100ms }'
        ) from None
    except VisitError as fault:
        raise fault.orig_exc from None


@cache
def _parser() -> Lark:
    text = (resources.files("whence.serve.tempo") / "grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", maybe_placeholders=True)


def paths_of(field: str) -> list[Path]:
    """Where the values of an attribute as TraceQL writes it may stand. Raises Unsupported."""
    scope, _, key = field.partition(".")
    key = re.sub(r'"((?:\\.|[^"\\])*)"', lambda quoted: _unquoted(quoted[1]), key)
    if scope in ("parent", "event", "link") or not key:
        raise Unsupported(
            f"cannot ask for {field} in TraceQL here: whence knows span., resource., instrumentation. and .KEY"
        )
    around = Path("resource", (key,))
    match scope:
        case "resource":
            return [around]
        case "instrumentation":
            return [Path("scope", ("attributes", key))]
    own = own_field(key)
    here = [Path("attributes", (key,)), *([own] if own else [])]
    return here if scope == "span" else [*here, around]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda one: {"n": "\n", "t": "\t"}.get(one[1], one[1]), text)


class _Literal:
    """A value with the type that TraceQL has for it."""

    def __init__(self, value: Any, kind: str) -> None:
        self.value, self.kind = value, kind


class _Name(str):
    """What a condition is about."""


@v_args(inline=True)
class _Building(Transformer[Token, Any]):
    """The parse tree to the filter tree, from the leaves up; a Query where something is asked about whole traces."""

    def start(self, tree: Filter | Query | None, rest: Token | None) -> Query:
        if rest is not None:
            said = str(rest).strip()
            operator = next((one for one in _OPERATORS if said.startswith(one)), said[:20])
            what = (
                f"the pipeline {said[:40]!r}" if operator == "|" else f"the operator {operator!r} between sets of spans"
            )
            raise Unsupported(
                f"cannot answer {what} in TraceQL: whence knows conditions on one span, in one pair of braces"
            )
        return tree if isinstance(tree, Query) else Query(Everything() if tree is None else tree)

    def either(self, *parts: Filter | Query) -> Filter:
        return Either(tuple(map(_on_span, parts)))

    def both(self, *parts: Filter | Query) -> Filter | Query:
        trees = tuple(part for part in parts if not isinstance(part, Query))
        queries = [part for part in parts if isinstance(part, Query)]
        trees += tuple(one.tree for one in queries if not isinstance(one.tree, Everything))
        tree = joined(list(trees))
        return Query(tree, tuple(asked for one in queries for asked in one.on_trace)) if queries else tree

    def negation(self, part: Filter | Query) -> Filter:
        return Negation(_on_span(part))

    def field(self, token: Token) -> _Name:
        return _Name(token)

    def text(self, token: Token) -> _Literal:
        return _Literal(_unquoted(token[1:-1]), "text")

    def raw(self, token: Token) -> _Literal:
        return _Literal(token[1:-1], "text")

    def duration(self, token: Token) -> _Literal:
        return _Literal(duration_of("q", str(token)), "duration")

    def number(self, token: Token) -> _Literal:
        whole = re.fullmatch(r"-?\d{1,18}", token)
        return _Literal(int(token) if whole else float(token), "number")

    def word(self, said: Token) -> _Literal | _Name:
        match str(said):
            case "true" | "false":
                return _Literal(said == "true", "truth")
            case "nil":
                return _Literal(None, "nil")
        known = (*_TEXTS, *_DURATIONS, *_STATUSES, *_KINDS, *ON_TRACE, *_IN_TREES)
        return _Name(said) if said in known or ":" in said else _Literal(str(said), "word")

    def alone(self, what: Any) -> Filter:
        if isinstance(what, _Literal) and what.kind == "truth":
            return Everything() if what.value else Negation(Everything())
        if isinstance(what, _Name) and "." in what:
            return condition(what, "=", _Literal(True, "truth"))
        raise BadQuery(f"cannot read the TraceQL: {getattr(what, 'value', what)!r} alone is no condition")

    def comparison(self, left: Any, operator: Token, right: Any) -> Filter | Query:
        if isinstance(right, _Name) and isinstance(left, _Literal):
            left, right, operator = right, left, Token("OPERATOR", _FLIPPED.get(operator, operator))
        if not isinstance(left, _Name) or not isinstance(right, _Literal):
            raise Unsupported(
                f"cannot compare {_shown(left)} with {_shown(right)} in TraceQL: whence compares a name with a value"
            )
        if left in ON_TRACE:
            return Query(Everything(), (_on_trace(left, str(operator), right),))
        return condition(left, str(operator), right)


def _on_span(part: Filter | Query) -> Filter:
    if isinstance(part, Query):
        raise Unsupported(
            f"cannot ask for {part.on_trace[0].name} inside `||` or `!` in TraceQL here: join it to the rest with `&&`"
        )
    return part


def _on_trace(name: str, operator: str, literal: _Literal) -> OnTrace:
    """One comparison of a whole trace."""
    if name in DURATIONS:
        return OnTrace(name, operator, _ns(name, operator, literal))
    if literal.kind != "text" or operator not in ("=", "!=", "=~", "!~"):
        raise BadQuery(f"cannot compare {name} {operator} {literal.value!r}: use =, !=, =~ or !~ and a text in quotes")
    return OnTrace(name, operator, _expression(literal) if "~" in operator else literal.value)


def _ns(name: str, operator: str, literal: _Literal) -> int:
    if literal.kind not in ("duration", "number") or "~" in operator:
        raise BadQuery(f"cannot compare {name} with {literal.value!r}: give a duration such as 100ms")
    return int(literal.value)


def _shown(of: Any) -> str:
    return repr(of.value) if isinstance(of, _Literal) else str(of)


def condition(name: str, operator: str, literal: _Literal) -> Filter:
    """One comparison. Raises BadQuery."""
    if name in _IN_TREES:
        raise Unsupported(
            f"cannot ask for {name} in TraceQL here: whence knows conditions on one span, not on its place among others"
        )
    if name in _DURATIONS:
        return Compare(Path("duration_ns"), cast(Operator, operator), _ns(name, operator, literal))
    if name in (*_STATUSES, *_KINDS):
        return _worded(name, operator, literal)
    if name in _TEXTS:
        return _compared([_TEXTS[name]], name, operator, literal)
    if "." not in name:
        raise Unsupported(
            f"cannot ask for {name} in TraceQL here: whence knows {', '.join(sorted(_TEXTS))}, duration, status, kind"
        )
    if name in ("resource.service.name", ".service.name") and operator == "=" and literal.kind == "text":
        return of_service(literal.value)
    return _compared(paths_of(name), name, operator, literal)


def _worded(name: str, operator: str, literal: _Literal) -> Filter:
    """A status or a kind: one of a few words."""
    is_status = name in _STATUSES
    words = STATUS_WORDS if is_status else ("unspecified", *SPAN_KINDS[1:])
    if literal.value not in words or operator not in ("=", "!="):
        raise BadQuery(f"cannot compare {name} {operator} {literal.value!r}: use = or != with {', '.join(words)}")
    said = str(literal.value)
    same = _status(said) if is_status else _kind("" if said == "unspecified" else said)
    return same if operator == "=" else Negation(same)


def _kind(said: str) -> Filter:
    """Never unknown, so that it can be negated."""
    return Both((Exists(Path("attributes", (names.SPAN_KIND,))), of_kind(said))) if said else of_kind(said)


def _status(said: str) -> Filter:
    """Never unknown, so that it can be negated."""
    failed = Both((Exists(Path("severity")), FAILED))
    ok = Both((Exists(Path("status")), Compare(Path("status"), "=", "ok")))
    match said:
        case "error":
            return failed
        case "ok":
            return Both((ok, Negation(failed)))
    return Both((Negation(failed), Negation(ok)))


def _compared(paths: list[Path], name: str, operator: str, literal: _Literal) -> Filter:
    """A value at one of the paths compared with a literal of the same type."""
    if literal.kind == "nil":
        there = _any([Exists(path) for path in paths])
        if operator not in ("=", "!="):
            raise BadQuery(f"cannot compare {name} {operator} nil: use = or !=")
        return there if operator == "!=" else Negation(there)
    if literal.kind == "word":
        raise BadQuery(f'cannot compare {name} with {literal.value}: write a text in quotes, as "{literal.value}"')
    if operator in ("=~", "!~"):
        return _any([_fitting(path, operator, literal) for path in paths])
    return _any([Compare(path, cast(Operator, operator), literal.value) for path in paths])


def _fitting(path: Path, operator: str, literal: _Literal) -> Filter:
    fits = Matches(path, _expression(literal))
    return fits if operator == "=~" else Both((Exists(path), Negation(fits)))


def _expression(literal: _Literal) -> str:
    """An expression that covers a whole value."""
    if literal.kind != "text":
        raise BadQuery(f"cannot use {literal.value!r} as a regular expression: write it in quotes")
    pattern = f"^(?:{literal.value})$"
    try:
        regex(pattern)
    except ValueError as cause:
        raise BadQuery(f"cannot use the regular expression {literal.value[:60]!r}: {cause}") from None
    return pattern


def _any(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else Either(tuple(parts))
