"""Which records a processor is for: the Collector's `include` and `exclude` blocks.

The law: pure. Each property that a block names must fit (any of its entries; of `attributes` and `resources`, all of them).
"""

from collections.abc import Callable
from typing import Any, Final, Literal

from pydantic import model_validator

from whence.collect.records.draft import Attributes
from whence.collect.records.patterns import pattern
from whence.collect.records.walk import Place
from whence.collect.settings import Settings, noted
from whence.event import names
from whence.event.kinds import Severity
from whence.event.misfits import Misfit
from whence.otlp.value import plain_value

Fits = Callable[[Place], bool]
Text = Callable[[str], bool]

_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


class KeyValue(Settings):
    """An attribute that must be there, with this value where one is given."""

    key: str
    value: Any = None


class Library(Settings):
    """An instrumentation scope."""

    name: str
    version: str | None = None


class SeverityMatch(Settings):
    """Log records at least this severe."""

    min: str | int
    match_undefined: bool = False


class MatchSettings(Settings):
    """One block."""

    match_type: Literal["strict", "regexp"]
    regexp: dict[str, Any] = noted({}, "expressions are kept compiled in any case")
    services: tuple[str, ...] = ()
    span_names: tuple[str, ...] = ()
    span_kinds: tuple[str, ...] = ()
    log_bodies: tuple[str, ...] = ()
    log_severity_texts: tuple[str, ...] = ()
    log_severity_number: SeverityMatch | None = None
    metric_names: tuple[str, ...] = ()
    attributes: tuple[KeyValue, ...] = ()
    resources: tuple[KeyValue, ...] = ()
    libraries: tuple[Library, ...] = ()

    @model_validator(mode="after")
    def _can_be_compiled(self) -> "MatchSettings":
        try:
            fits(self)
        except ValueError as problem:
            raise Misfit(str(problem)) from None
        return self


class Matching(Settings):
    """Settings with both blocks."""

    include: MatchSettings | None = None
    exclude: MatchSettings | None = None


def chosen(settings: Matching) -> Fits | None:
    """The test of a record, or None where every record is meant."""
    include = fits(settings.include) if settings.include else None
    exclude = fits(settings.exclude) if settings.exclude else None
    if include is None and exclude is None:
        return None
    return lambda place: (include is None or include(place)) and not (exclude is not None and exclude(place))


def fits(block: MatchSettings) -> Fits:
    """A block as a test. Raises ValueError for what cannot be understood, or where it names nothing."""
    strict = block.match_type == "strict"
    parts: list[Fits] = []
    if block.services:
        service = _any(block.services, strict)
        parts.append(lambda place: _is_text(place.resource.attributes, names.SERVICE_NAME, service))
    if block.span_names:
        parts.append(_field("name", _any(block.span_names, strict)))
    if block.metric_names:
        parts.append(_field("name", _any(block.metric_names, strict)))
    if block.span_kinds:
        parts.append(_kind(block.span_kinds, strict))
    if block.log_bodies:
        parts.append(_body(_any(block.log_bodies, strict)))
    if block.log_severity_texts:
        parts.append(_field("severityText", _any(block.log_severity_texts, strict)))
    if block.log_severity_number:
        parts.append(_severe(block.log_severity_number))
    if block.libraries:
        parts.append(_library(block.libraries, strict))
    parts += [_having(wanted, strict, _innermost) for wanted in block.attributes]
    parts += [_having(wanted, strict, _of_resource) for wanted in block.resources]
    if not parts:
        raise Misfit("expected at least one property to match, such as services, span_names, log_bodies or attributes")
    return lambda place: all(part(place) for part in parts)


def _innermost(place: Place) -> Attributes:
    return (place.inner or place.record or place.resource).attributes


def _of_resource(place: Place) -> Attributes:
    return place.resource.attributes


def _any(wanted: tuple[str, ...], strict: bool) -> Text:
    if strict:
        return frozenset(wanted).__contains__
    found = [pattern(text) for text in wanted]
    return lambda text: any(one.search(text) is not None for one in found)


def _field(name: str, test: Text) -> Fits:
    return lambda place: place.record is not None and test(place.record.get(name, ""))


def _is_text(attributes: Attributes, key: str, test: Text) -> bool:
    value = attributes.get(key)
    return isinstance(value, str) and test(value)


def _kind(wanted: tuple[str, ...], strict: bool) -> Fits:
    """Kinds as SPAN_KIND_SERVER, or as Server."""
    test = _any(wanted, strict)

    def kind(place: Place) -> bool:
        number = int(place.record.get("kind") or 0) if place.record else 0
        name = _KINDS[number] if number < len(_KINDS) else ""
        return test(f"SPAN_KIND_{name}") or test(name.capitalize())

    return kind


def _body(test: Text) -> Fits:
    def body(place: Place) -> bool:
        written = place.record.get("body") if place.record else None
        value = plain_value(written) if written else None
        return isinstance(value, str) and test(value)

    return body


def _severe(wanted: SeverityMatch) -> Fits:
    try:
        least = Severity[str(wanted.min).upper()] if not str(wanted.min).isdigit() else Severity(int(wanted.min))
    except (KeyError, ValueError):
        raise Misfit(f"{wanted.min!r} is no severity: expected TRACE to FATAL4, or 1 to 24") from None

    def severe(place: Place) -> bool:
        number = int(place.record.get("severityNumber") or 0) if place.record else 0
        return number >= least if number else wanted.match_undefined

    return severe


def _library(wanted: tuple[Library, ...], strict: bool) -> Fits:
    tests = [
        (_any((one.name,), strict), _any((one.version,), strict) if one.version is not None else None) for one in wanted
    ]

    def library(place: Place) -> bool:
        if place.scope is None:
            return False
        name, version = place.scope.get("name", ""), place.scope.get("version", "")
        return any(first(name) and (second is None or second(version)) for first, second in tests)

    return library


def _having(wanted: KeyValue, strict: bool, attributes: Callable[[Place], Attributes]) -> Fits:
    if wanted.value is None:
        return lambda place: wanted.key in attributes(place)
    if strict:
        return lambda place: same(attributes(place).get(wanted.key), wanted.value)
    test = _any((str(wanted.value),), strict=False)
    return lambda place: wanted.key in attributes(place) and test(_shown(attributes(place)[wanted.key]))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def same(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, and of its kind."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, (int, float)) and isinstance(value, (int, float)):
        return value == wanted
    return type(value) is type(wanted) and bool(value == wanted)
