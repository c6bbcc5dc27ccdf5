"""How the values of settings are written, in a call, a variable or a file, and what they become.

The law: each raises ValueError that says what was expected, and nothing else.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

import orjson
from pydantic import BeforeValidator, Field

from whence.event.kinds import Verbosity
from whence.event.units import parse_duration, parse_size

NEVER: Final = "never"


def as_choice(value: Any) -> Any:
    return value.strip().lower().replace("-", "_") if isinstance(value, str) else value


def as_level(value: Any) -> Verbosity:
    if isinstance(value, Verbosity):
        return value
    if isinstance(value, str) and value.strip().upper() in Verbosity.__members__:
        return Verbosity[value.strip().upper()]
    raise ValueError(f"one of {', '.join(level.name.lower() for level in Verbosity)}")


def as_path(value: Any) -> Any:
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError("the path of a directory")
    return Path(value).expanduser() if isinstance(value, (str, Path)) else value


def as_names(value: Any) -> Any:
    """`a,b` as a list; what is one already as it is."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def as_pairs(value: Any) -> Any:
    """`a7=detail,a8=state` as a mapping; what is one already as it is."""
    if not isinstance(value, str):
        return value
    parts = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if not all(name.strip() and equals for name, equals, _ in parts):
        raise ValueError("pairs such as name=value,name=value")
    return {name.strip(): item.strip() for name, _, item in parts}


def as_rules(value: Any) -> Any:
    """A JSON object of filters and days as a mapping; what is one already as it is."""
    if not isinstance(value, str):
        return value
    try:
        found = orjson.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("""filters and their days, such as {"kind = 'detail'": 3}""")
    return found


def as_headers(value: Any) -> Any:
    """As `OTEL_EXPORTER_OTLP_HEADERS` has them where they are one text: percent-encoded. Names in lower case, for gRPC."""
    decode: Callable[[str], str] = unquote if isinstance(value, str) else str
    pairs = as_pairs(value)
    if not isinstance(pairs, Mapping):
        return pairs
    return {str(name).lower(): decode(item) if isinstance(item, str) else item for name, item in pairs.items()}


def as_endpoint(value: Any) -> Any:
    if isinstance(value, str):
        try:
            parts = urlsplit(value if "//" in value else f"//{value}")
            if parts.hostname and parts.scheme in ("", "http", "https") and (parts.port is None or parts.port):
                return value.strip()
        except ValueError:
            pass
        raise ValueError("an address such as http://localhost:4318")
    return value


def or_never(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None or as_choice(value) == NEVER else parse(value)


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, allow_inf_nan=False)]
Days = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Level = Annotated[Verbosity, BeforeValidator(as_level)]
