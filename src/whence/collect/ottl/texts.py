"""Converters for text: cutting, joining, changing, and reading what is written in it."""

import base64
import binascii
import csv
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from whence.collect.ottl.calculate import kind_name
from whence.collect.ottl.errors import Failure
from whence.collect.ottl.functions import LONGEST, Regex, Text, bounded, converter
from whence.collect.records.plain import as_string

_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_VERB: Final = re.compile(r"%([-+ 0#]*\d{0,3}(?:\.\d{1,2})?)([a-zA-Z%])")
_VERBS: Final = "dfeEgGxXobsqvtcp"


@converter("Concat")
def concat(values: list[Any], delimiter: str) -> str:
    """The values as text, with the delimiter between them."""
    return delimiter.join([as_string(value) for value in values])


@converter("Split")
def split(target: str, delimiter: str) -> list[str]:
    """The pieces between the delimiters; with an empty delimiter, the characters."""
    return target.split(delimiter) if delimiter else list(target)


@converter("Substring")
def substring(target: str, start: int, length: int) -> str:
    """So many characters from a start, counted from zero. All of them must be there."""
    if start < 0 or length < 0 or start + length > len(target):
        raise Failure(f"Substring: {start} and {length} are outside of a text of {len(target)} characters")
    return target[start : start + length]


@converter("ToLowerCase")
def to_lower_case(target: Text) -> str:
    """In lower case."""
    return target.lower()


@converter("ToUpperCase")
def to_upper_case(target: Text) -> str:
    """In upper case."""
    return target.upper()


@converter("ToSnakeCase")
def to_snake_case(target: Text) -> str:
    """`likeThis` as `like_this`."""
    return "_".join(_WORDS.findall(target)).lower()


@converter("ToCamelCase")
def to_camel_case(target: Text) -> str:
    """`like_this` as `LikeThis`."""
    return "".join(word[:1].upper() + word[1:].lower() for word in _WORDS.findall(target))


@converter("ConvertCase")
def convert_case(target: Text, to_case: str) -> str:
    """To `lower`, `upper`, `snake` or `camel`."""
    convert = {"lower": to_lower_case, "upper": to_upper_case, "snake": to_snake_case, "camel": to_camel_case}.get(
        to_case
    )
    if convert is None:
        raise Failure('ConvertCase: expected "lower", "upper", "snake" or "camel" for to_case')
    return str(convert(target))


@converter("Trim")
def trim(target: str, replacement: str = " ") -> str:
    """Without these characters at both ends."""
    return target.strip(replacement)


@converter("TrimPrefix")
def trim_prefix(target: str, prefix: str) -> str:
    """Without this beginning."""
    return target.removeprefix(prefix)


@converter("TrimSuffix")
def trim_suffix(target: str, suffix: str) -> str:
    """Without this end."""
    return target.removesuffix(suffix)


@converter("HasPrefix")
def has_prefix(target: Text, prefix: str) -> bool:
    """Whether it begins so."""
    return target.startswith(prefix)


@converter("HasSuffix")
def has_suffix(target: Text, suffix: str) -> bool:
    """Whether it ends so."""
    return target.endswith(suffix)


@converter("IsMatch")
def is_match(target: Any, pattern: Regex) -> bool:
    """Whether the expression is found in it; in nil, it is not."""
    return target is not None and pattern.search(as_string(target)) is not None


@converter("ExtractPatterns")
def extract_patterns(target: str, pattern: Regex) -> dict[str, str]:
    """What the named groups match; where the expression does not match, an empty map."""
    if not pattern.groupindex:
        raise Failure("ExtractPatterns: the regular expression has no named group: (?P<name>...)")
    found = pattern.search(target)
    return {} if found is None else {name: text or "" for name, text in found.groupdict().items()}


@converter("Format")
def format_(template: str, values: list[Any]) -> str:
    """Go's `fmt.Sprintf`, with the verbs d f e g x o b s q v t c and %%."""
    given = iter(values)

    def fill(found: re.Match[str]) -> str:
        flags, verb = found[1], found[2]
        if verb == "%":
            return "%"
        if verb not in _VERBS:
            raise Failure(f"Format: %{verb} is not known")
        try:
            return _formatted(flags, verb, next(given))
        except StopIteration:
            raise Failure("Format: there are fewer values than verbs") from None
        except (TypeError, ValueError, OverflowError):
            raise Failure(f"Format: a value does not fit %{flags}{verb}") from None

    return _VERB.sub(fill, template)


def _formatted(flags: str, verb: str, value: Any) -> str:
    if verb in "vtp":
        return f"%{flags}s" % as_string(value)
    if verb == "q":
        return f"%{flags}s" % orjson.dumps(as_string(value)).decode()
    if verb == "s":
        return f"%{flags}s" % as_string(value)
    if verb == "b":
        return f"{int(value):b}"
    if verb in "xX" and isinstance(value, str):
        value = value.encode()
    if verb in "xX" and isinstance(value, bytes):
        return str(value.hex().upper() if verb == "X" else value.hex())
    return str(f"%{flags}{verb}" % value)


# --- what is written in text -----------------------------------------------------------------------------------------------


@converter("ParseJSON")
def parse_json(target: str) -> Any:
    """The value that the JSON text says. Whole numbers stay whole."""
    try:
        return orjson.loads(target)
    except orjson.JSONDecodeError as cause:
        raise Failure(f"ParseJSON: not JSON: {cause}") from None


@converter("ParseKeyValue")
def parse_key_value(target: str, delimiter: str = "=", pair_delimiter: str = " ") -> dict[str, str]:
    """`a=1 b="2 3"` as a map; quotes keep what is inside together."""
    if not delimiter or not pair_delimiter or delimiter == pair_delimiter:
        raise Failure("ParseKeyValue: the two delimiters must not be empty, and not the same")
    found = {}
    for pair in _apart(target, pair_delimiter):
        key, between, value = pair.partition(delimiter)
        if not between:
            raise Failure(f"ParseKeyValue: a pair has no {delimiter!r}")
        found[_unquoted(key)] = _unquoted(value)
    return found


def _apart(text: str, delimiter: str) -> list[str]:
    """The pieces between delimiters that stand outside of quotes, those that are empty left out."""
    pieces, start, at, quote = [], 0, 0, ""
    while at < len(text):
        if quote:
            quote = "" if text[at] == quote else quote
        elif text[at] in "\"'":
            quote = text[at]
        elif text.startswith(delimiter, at):
            pieces.append(text[start:at])
            at = start = at + len(delimiter)
            continue
        at += 1
    if quote:
        raise Failure("ParseKeyValue: a quote is not closed")
    return [piece for piece in (*pieces, text[start:]) if piece.strip()]


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


@converter("ToKeyValueString")
def to_key_value_string(
    target: dict[str, Any], delimiter: str = "=", pair_delimiter: str = " ", sort_output: bool = False
) -> str:
    """The other way round; what has a delimiter in it is quoted."""

    def quoted(value: Any) -> str:
        text = as_string(value)
        return (
            orjson.dumps(text).decode()
            if not text or delimiter in text or pair_delimiter in text or '"' in text
            else text
        )

    pairs = sorted(target.items()) if sort_output else target.items()
    return pair_delimiter.join([f"{quoted(key)}{delimiter}{quoted(value)}" for key, value in pairs])


@converter("ParseCSV")
def parse_csv(target: str, headers: str, delimiter: str = ",", header_delimiter: str | None = None) -> dict[str, str]:
    """A line of comma-separated values as a map."""
    try:
        names = next(csv.reader([headers], delimiter=header_delimiter or delimiter), [])
        row = next(csv.reader([target], delimiter=delimiter, strict=True), [])
    except (csv.Error, TypeError):
        raise Failure("ParseCSV: not a line of comma-separated values") from None
    if len(names) != len(row):
        raise Failure(f"ParseCSV: there are {len(names)} headers and {len(row)} values")
    return dict(zip(names, row, strict=True))


@converter("Base64Decode")
def base64_decode(target: str) -> str:
    """The text whose UTF-8 is written in base64."""
    return _decoded("Base64Decode", target, "base64")


@converter("Decode")
def decode(target: Any, encoding: str) -> str:
    """Text out of bytes or text in `base64`, `base64-raw`, `base64-url`, `hex`, `utf-8`, `us-ascii` or `utf-16`."""
    return _decoded("Decode", target, encoding)


def _decoded(function: str, target: Any, encoding: str) -> str:
    data = target.encode() if isinstance(target, str) else target
    if not isinstance(data, bytes):
        raise Failure(f"{function}: expected a text or bytes, not {kind_name(target)}")
    name = encoding.lower()
    try:
        if name.startswith("base64"):
            return base64.b64decode(
                data.translate(_URL).rstrip(b"=") + b"=" * (-len(data.rstrip(b"=")) % 4), validate=True
            ).decode()
        if name == "hex":
            return binascii.unhexlify(data).decode()
        if name in _ENCODINGS:
            return data.decode(_ENCODINGS[name])
    except ValueError:
        raise Failure(f"{function}: not in that encoding") from None
    raise Failure(f"{function}: the encoding is not known")


_URL: Final = bytes.maketrans(b"-_", b"+/")
_ENCODINGS: Final[Mapping[str, str]] = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "utf-16": "utf-16"}


@converter("Base64Encode")
def base64_encode(target: Any) -> str:
    """Bytes, or a text's UTF-8, in base64."""
    data = target.encode() if isinstance(target, str) else target
    if not isinstance(data, bytes) or len(data) > LONGEST:
        raise Failure(f"Base64Encode: expected a text or bytes, not {kind_name(target)}")
    return str(bounded("Base64Encode", base64.b64encode(data).decode()))
