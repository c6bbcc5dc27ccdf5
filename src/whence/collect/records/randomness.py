"""Consistent sampling: the 56 bits of randomness that a trace brings, and thresholds in its state (OpenTelemetry, OTEP 235).

The law: pure. Everybody who looks at the same trace with the same share decides the same.
"""

from typing import Final, NamedTuple

BITS: Final = 56
ALL: Final = 1 << BITS
_DIGITS: Final = BITS // 4
_FNV_START: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193


class State(NamedTuple):
    """What a tracestate says in its `ot` member: the threshold it was sampled with, its own randomness, and the rest."""

    threshold: int | None
    randomness: int | None
    rest: tuple[str, ...]
    """The member's other fields as they stand."""
    others: tuple[str, ...]
    """The other members as they stand."""


def state_of(text: str) -> State:
    """A tracestate read; what is malformed in it is as if it were not there."""
    threshold = randomness = None
    rest: list[str] = []
    others: list[str] = []
    for member in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = member.partition("=")
        if key != "ot":
            others.append(member)
            continue
        for field in filter(None, value.split(";")):
            name, _, digits = field.partition(":")
            number = _hex(digits)
            if name == "th" and number is not None:
                threshold = number << (4 * (_DIGITS - len(digits)))
            elif name == "rv" and number is not None and len(digits) == _DIGITS:
                randomness = number
            else:
                rest.append(field)
    return State(threshold, randomness, tuple(rest), tuple(others))


def state_text(state: State) -> str:
    """A tracestate written, its `ot` member first."""
    fields = [] if state.threshold is None else [f"th:{threshold_text(state.threshold)}"]
    fields += [] if state.randomness is None else [f"rv:{state.randomness:014x}"]
    fields += state.rest
    return ",".join([*([f"ot={';'.join(fields)}"] if fields else []), *state.others])


def threshold_text(threshold: int) -> str:
    """A threshold's hex digits without the zeros behind them."""
    return f"{threshold:014x}".rstrip("0") or "0"


def randomness_of(trace_id: str) -> int | None:
    """The last 56 bits of a trace id in hex; None of what is none."""
    return _hex(trace_id[-_DIGITS:]) if len(trace_id) == 32 and any(digit != "0" for digit in trace_id) else None


def threshold_of(share: float, precision: int = _DIGITS) -> int:
    """The threshold that lets through a share from 0 to 1, in so many hex digits that say something."""
    if share >= 1:
        return 0
    exact = ALL - round(share * ALL)
    if precision >= _DIGITS:
        return min(exact, ALL)
    leading = _DIGITS - len(f"{ALL - exact:x}") if share > 0 else 0
    step = 1 << (4 * max(0, _DIGITS - precision - leading))
    return min((exact + step // 2) // step * step, ALL)


def lets_through(randomness: int, threshold: int) -> bool:
    """Whether what has this randomness is kept."""
    return randomness >= threshold


def hashed(data: bytes, seed: int) -> int:
    """FNV-1a of 32 bits over a seed and data: the same decision as the Collector's in its mode `hash_seed`."""
    found = _FNV_START
    for byte in seed.to_bytes(4, "little") + data:
        found = (found ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return found


def _hex(digits: str) -> int | None:
    if not 0 < len(digits) <= _DIGITS or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        return None
    return int(digits, 16)
