"""Ids: ULIDs for events, and the written form of ids for spans and their events.

The law: pure. The millisecond and the entropy are given; `record/identity.py` reads the clock and keeps the order.
"""

import re
from typing import Final

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [a + b for a in CROCKFORD for b in CROCKFORD]

TIME_BITS: Final = 48
ENTROPY_BITS: Final = 80
TAIL_DIGITS: Final = 4
TAIL_BITS: Final = 5 * TAIL_DIGITS
TAIL_MASK: Final = (1 << TAIL_BITS) - 1
_MAX: Final = (1 << (TIME_BITS + ENTROPY_BITS)) - 1

_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_SPAN: Final = re.compile(r"span:([0-9a-f]{32})-([0-9a-f]{16})(?:#(\d+))?")


def next_ulid(previous: int, milliseconds: int, entropy: int) -> int:
    """The 128-bit ULID after `previous`: of this millisecond, or one more than `previous` where that is not greater.

    So a sequence of results is strictly ascending even when the clock stands still or jumps back (ULID specification,
    "Monotonicity"). `milliseconds` since the Unix epoch, `entropy` 80 random bits.
    Raises OverflowError past the last ULID, in the year 10889.
    """
    fresh = (milliseconds << ENTROPY_BITS) | entropy
    ulid = fresh if fresh > previous else previous + 1
    if ulid > _MAX:
        raise OverflowError("no ULID is left after the year 10889")
    return ulid


def ulid_text(ulid: int) -> str:
    """The 26 characters of a 128-bit ULID, sorting as the numbers do."""
    pairs = _PAIRS
    return "".join(
        (
            pairs[ulid >> 120],
            pairs[(ulid >> 110) & 1023],
            pairs[(ulid >> 100) & 1023],
            pairs[(ulid >> 90) & 1023],
            pairs[(ulid >> 80) & 1023],
            pairs[(ulid >> 70) & 1023],
            pairs[(ulid >> 60) & 1023],
            pairs[(ulid >> 50) & 1023],
            pairs[(ulid >> 40) & 1023],
            pairs[(ulid >> 30) & 1023],
            pairs[(ulid >> 20) & 1023],
            pairs[(ulid >> 10) & 1023],
            pairs[ulid & 1023],
        )
    )


def tail_text(tail: int) -> str:
    """The last `TAIL_DIGITS` characters of a ULID, from its last `TAIL_BITS` bits."""
    return _PAIRS[tail >> 10] + _PAIRS[tail & 1023]


def is_ulid(text: str) -> bool:
    """Whether `text` is a ULID in its canonical, upper-case form."""
    return _ULID.fullmatch(text) is not None


def span_id_of(trace_id: str, span_id: str) -> str:
    """The event id of a span: `span:<trace>-<span>`; both in lower-case hex."""
    return f"span:{trace_id}-{span_id}"


def span_event_id_of(trace_id: str, span_id: str, n: int) -> str:
    """The event id of a span's n-th span event, counted from 0 as they stand on the span."""
    return f"span:{trace_id}-{span_id}#{n}"


def parse_span_id(event_id: str) -> tuple[str, str] | None:
    """The trace and span named by a `span:` id (of a span or of one of its events), or None for any other id."""
    found = _SPAN.fullmatch(event_id)
    return (found[1], found[2]) if found else None
