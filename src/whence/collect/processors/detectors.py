"""What looks personal or secret in text: one line a detector, named, with what else must hold where a pattern fits.

The law: pure. A detector would rather miss than hit ordinary data: ids (ULIDs, UUIDs, trace ids), times and version numbers
pass. Expressions are RE2; what stands around a hit, which RE2 cannot look at, is looked at by `confirm`.
"""

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from whence.collect.records.luhn import is_card_number


class Hit(NamedTuple):
    """Where a pattern fits in a text."""

    text: str
    start: int
    end: int

    @property
    def found(self) -> str:
        """What fits."""
        return self.text[self.start : self.end]

    @property
    def before(self) -> str:
        """The character before, or nothing."""
        return self.text[self.start - 1 : self.start] if self.start else ""

    @property
    def after(self) -> str:
        """The character after, or nothing."""
        return self.text[self.end : self.end + 1]

    @property
    def beyond(self) -> str:
        """The character after that one, or nothing."""
        return self.text[self.end + 1 : self.end + 2]


class Detector(NamedTuple):
    """One kind of thing to be found."""

    name: str
    pattern: str
    """What is masked is its first group where it has one, else all of it."""
    confirm: Callable[[Hit], bool] = lambda hit: True
    example: str = ""


# --- what must hold besides -----------------------------------------------------------------------------------------------


def _alone(hit: Hit) -> bool:
    """Not a piece of a longer word or number."""
    return not (_is_word(hit.before) or _is_word(hit.after))


def _is_word(character: str) -> bool:
    return bool(character) and (character.isalnum() or character == "_")


def _generated(hit: Hit) -> bool:
    """On its own, with capital letters and digits in it, as words have not."""
    return _alone(hit) and any(map(str.isdigit, hit.found)) and any(map(str.isupper, hit.found))


_CARDS: Final = re.compile(
    r"4\d{12}(\d{3}){0,2}|(5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12,14}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}"
    r"|(6011|65\d\d|64[4-9]\d)\d{12,15}|35(2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)


def _card(hit: Hit) -> bool:
    """The digits of an issuer's range, evenly separated, with a right check digit; no part of a longer number."""
    digits = re.sub(r"[ -]", "", hit.found)
    if not _alone(hit) or hit.before in (".", "-", "+") or (hit.after in (".", "-") and hit.beyond.isdigit()):
        return False
    separators = set(re.findall(r"[ -]", hit.found))
    if len(separators) > 1 or (separators and len(re.split(r"[ -]", hit.found)) > 5):
        return False
    return bool(_CARDS.fullmatch(digits)) and is_card_number(digits)


_VERSION: Final = re.compile(r"(?i)(\bv|ver\.?|version|release|build|[a-z_)]/|==|>=|<=|~=|\^)[\s:='\"]*$")


def _ipv4(hit: Hit) -> bool:
    """Four numbers to 255 that are no version and no local address."""
    if _is_word(hit.before) or hit.before in (".", "-", "+") or _is_word(hit.after) or hit.after == "-":
        return False
    if hit.after == "." and hit.beyond.isalnum():
        return False
    if _VERSION.search(hit.text[max(0, hit.start - 16) : hit.start]):
        return False
    try:
        address = ipaddress.IPv4Address(hit.found)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _ipv6(hit: Hit) -> bool:
    """An address by the rules, of three parts or more with a digit; no local one, no hardware address, no name with `::`."""
    if _is_word(hit.before) or hit.before in (":", ".") or _is_word(hit.after) or hit.after == ":":
        return False
    parts = [part for part in hit.found.split(":") if part]
    if len(parts) < 3 or not any(part.isdigit() or part[0].isdigit() for part in parts):
        return False
    if all(len(part) == 2 for part in parts):
        return False
    try:
        address = ipaddress.IPv6Address(hit.found)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _phone(hit: Hit) -> bool:
    """8 to 15 digits, no part of anything longer."""
    digits = sum(character.isdigit() for character in hit.found)
    around = hit.before in (".", "-", "+", "/", ":", "=") or (
        hit.after in ("-", ":", "/", ".") and hit.beyond.isalnum()
    )
    return 8 <= digits <= 15 and _alone(hit) and not around


_MIXED: Final = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))
_BITS: Final = 4.3
_WORDY: Final = re.compile("[a-z]{6}|[A-Z]{6}")


def _random(hit: Hit) -> bool:
    """Small and capital letters and digits, mixed as only chance mixes them; no path, no words."""
    text = hit.found
    if not _alone(hit) or hit.before in ("/", ".", "\\", "-") or hit.after in ("/", ".", "\\", "-"):
        return False
    if not all(kind.search(text) for kind in _MIXED) or len(_WORDY.findall(text)) > 1 or text.count("/") > 2:
        return False
    counts = Counter(text)
    bits = -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
    return bits >= min(_BITS, math.log2(len(text)) * 0.85)


# --- the table ------------------------------------------------------------------------------------------------------------

_KEY: Final = "(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?"
_ASSIGNED: Final = (
    r"(?i:pass(?:word|wd|phrase)|pwd|secret|(?:api|access|private)[_-]?key|auth[_-]?token|client[_-]?secret)"
    r"[\"']?\s{0,3}[=:]\s{0,3}[\"']?([^\s\"',;&]{4,})"
)
_PHONE: Final = r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}|\(\d{3}\) ?\d{3}[ -]\d{4}|\d{3}-\d{3}-\d{4}"

DETECTORS: Final[tuple[Detector, ...]] = (
    Detector(
        "email", r"[A-Za-z0-9.!#$%&*+/=?^_{|}~-]+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,24}",
        lambda hit: hit.after not in ("@",), "ada@example.org",
    ),
    Detector("card", r"\d(?:[ -]?\d){12,18}", _card, "4111 1111 1111 1111"),
    Detector("private_key", f"(?s)-----BEGIN {_KEY}-----.*?(?:-----END {_KEY}-----|\\z)", example="-----BEGIN PRIVATE KEY-----"),
    Detector("aws", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}", _alone, "AKIAIOSFODNN7EXAMPLE"),
    Detector("github", r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})", _alone, "ghp_..."),
    Detector("gitlab", r"glpat-[A-Za-z0-9_-]{20,}", _alone, "glpat-..."),
    Detector(
        "slack",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/([A-Za-z0-9/]{20,})",
        example="xoxb-...",
    ),
    Detector("stripe", r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}", _alone, "sk_live_..."),
    Detector("google", r"AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}", _alone, "AIza..."),
    Detector("npm", r"npm_[A-Za-z0-9]{36}", _alone, "npm_..."),
    Detector("openai", r"sk-[A-Za-z0-9_-]{20,}", _generated, "sk-..."),
    Detector("jwt", r"eyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*", _alone, "eyJ...eyJ..."),
    Detector("bearer", r"(?i:bearer|basic)\s+([A-Za-z0-9._~+/=-]{16,})", example="Authorization: Bearer ..."),
    Detector("url_credentials", r"[a-z][a-z0-9+.-]*://[^\s/:@]+:([^\s/@]+)@", example="postgres://user:secret@host"),
    Detector("assigned_secret", _ASSIGNED, example="password=..."),
    Detector("ipv4", r"\d{1,3}(?:\.\d{1,3}){3}", _ipv4, "192.0.2.7"),
    Detector("ipv6", r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:\d?(?:\.\d{1,3}){3})?", _ipv6, "2001:db8::7"),
    Detector("phone", _PHONE, _phone, "+1 202 555 0143"),
    Detector("high_entropy", r"[A-Za-z0-9+/_-]{28,}={0,2}", _random, "base64 of 20 random bytes and more"),
)  # fmt: skip
"""In the order in which they look."""

TOKENS: Final = (
    "private_key", "aws", "github", "gitlab", "slack", "stripe", "google", "npm", "openai", "jwt", "bearer",
    "url_credentials", "assigned_secret",
)  # fmt: skip
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "tokens": TOKENS,
    "ip": ("ipv4", "ipv6"),
    "all": tuple(one.name for one in DETECTORS if one.name != "high_entropy"),
}
"""Several at once by one name. `high_entropy` must be asked for by its own: it can hit what is merely odd."""
