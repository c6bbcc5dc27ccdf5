"""Text made safe to print: what a recorded program put into a name can neither move the cursor nor forge a line.

The law: pure. Every text that reaches a terminal, a pipe or a file from a command passes through here.
"""

import json
import re
import unicodedata
from typing import Any, Final

import orjson

_UNSAFE: Final = re.compile(
    "["
    "\x00-\x1f\x7f"  # C0 and DEL
    "\x80-\x9f"  # C1, among them the one-byte form of ESC [
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of writing direction
    "\u2028\u2029"  # line and paragraph separator
    "\ufff9-\ufffb"  # interlinear annotation
    "\ud800-\udfff"  # surrogates without their other half
    "]"
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    code = ord(char)
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _escape_json(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def safe(text: str) -> str:
    """The text on one line with everything that could steer a terminal written as an escape: `\\n`, `\\x1b`, `\\u202e`."""
    return _UNSAFE.sub(_escape, text) if _UNSAFE.search(text) else text


def to_json(value: Any) -> str:
    """One line of JSON, equal to the value when parsed, in which no raw control character is left."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits, or a lone surrogate: beyond orjson, not beyond JSON
        text = json.dumps(value, separators=(",", ":"), default=str)
    return _UNSAFE.sub(_escape_json, text) if _UNSAFE.search(text) else text


def width_of(text: str) -> int:
    """How many columns a terminal takes to show the text."""
    if text.isascii():
        return len(text)
    return sum(_width_of_char(char) for char in text)


def _width_of_char(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """The text in at most `width` columns, its end replaced by `…` where it is longer."""
    if width_of(text) <= width:
        return text
    if width < 1:
        return ""
    taken = 0
    for n, char in enumerate(text):
        taken += _width_of_char(char)
        if taken > width - 1:
            return text[:n] + "…"
    return text


def pad(text: str, width: int) -> str:
    """The text in exactly `width` columns: cut, or followed by spaces."""
    text = cut(text, width)
    return text + " " * (width - width_of(text))
