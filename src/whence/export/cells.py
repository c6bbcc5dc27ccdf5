"""CSV (RFC 4180): a row an event, the fields as columns, nested values as JSON text, and no cell a spreadsheet would run.

Source: RFC 4180; OWASP "CSV Injection" for the characters that begin a formula.
"""

import csv
import io
from typing import Any, BinaryIO, Final

from whence.event.flat import ORDER, to_flat
from whence.export.flat_json import json_bytes
from whence.export.source import Source

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> str:
    """A value as the text of one cell.

    Text that a spreadsheet would take for a formula gets a `'` before it; numbers are numbers and stay as they are.
    """
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = value if isinstance(value, str) else json_bytes(value).decode()
    return "'" + text if text.startswith(_FORMULA) else text


def write_cells(source: Source, out: BinaryIO) -> None:
    """A header line and a row an event, in UTF-8, lines ended by CRLF."""
    text = io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace", newline="", write_through=False)
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(ORDER)
    for event in source.events():
        flat = to_flat(event)
        rows.writerow([cell(flat.get(name)) for name in ORDER])
    text.flush()
    text.detach()
