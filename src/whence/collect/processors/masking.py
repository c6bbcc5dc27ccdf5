"""Text, and values at any depth, with what must not be seen replaced: in AnyValues as JSON has them.

The law: pure. What has nothing to hide is given back as the very object it was.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from whence.collect.processors.detectors import Detector, Hit
from whence.collect.records.draft import Json
from whence.collect.records.patterns import any_of, pattern
from whence.collect.records.plain import as_string
from whence.otlp.value import bytes_of_base64, plain_value

MASK: Final = "****"
_CACHED: Final = 64
"""Characters of texts whose answer is kept: names, methods and states come again and again."""
_KEPT: Final = 8192
_SHORTEST: Final = 5
"""Characters that anything to be found by a detector has at least."""

Replace = Callable[[str], str]


def replacing(function: str, key: str = "") -> Replace:
    """What stands for a text that is hidden: stars, or its digest in hex."""
    match function:
        case "md5" | "sha1":
            return lambda text: hashlib.new(function, text.encode(), usedforsecurity=False).hexdigest()
        case "sha3":
            return lambda text: hashlib.sha3_256(text.encode()).hexdigest()
        case "hmac-sha256" | "hmac-sha512":
            name, secret = function.removeprefix("hmac-"), key.encode()
            return lambda text: hmac.new(secret, text.encode(), name).hexdigest()
    return lambda text: MASK


class _Look(NamedTuple):
    """One expression, compiled."""

    regex: Any
    confirm: Callable[[Hit], bool] | None


class Masker:
    """Hides what expressions find, unless the whole text is allowed."""

    def __init__(
        self,
        blocked: Sequence[str],
        detectors: Sequence[Detector],
        allowed: Sequence[str],
        hide: Replace,
        all_types: bool = False,
    ) -> None:
        self._looks = [_Look(pattern(text), None) for text in blocked]
        self._looks += [_Look(pattern(one.pattern), one.confirm) for one in detectors]
        self._allowed = [pattern(text) for text in allowed]
        self._hide, self._all_types = hide, all_types
        self._shortest = 1 if blocked else _SHORTEST
        self._any = any_of([*blocked, *(one.pattern for one in detectors)])
        self._short = lru_cache(maxsize=_KEPT)(self._masked)

    def text(self, text: str) -> str:
        """The text as it may be seen."""
        if len(text) < self._shortest or not self._looks:
            return text
        return self._short(text) if len(text) <= _CACHED else self._masked(text)

    def _masked(self, text: str) -> str:
        if self._any is not None and self._any.search(text) is None:
            return text
        if any(one.search(text) is not None for one in self._allowed):
            return text
        for look in self._looks:
            if look.regex.search(text) is not None:
                text = self._without(text, look)
        return text

    def _without(self, text: str, look: _Look) -> str:
        def one(match: Any) -> str:
            whole: str = match.group(0)
            if look.confirm is None:
                return self._hide(whole) if whole else whole
            group = 1 if match.re.groups and match.group(1) is not None else 0
            if not look.confirm(Hit(text, match.start(group), match.end(group))):
                return whole
            at, end = match.start(group) - match.start(), match.end(group) - match.start()
            return whole[:at] + self._hide(whole[at:end]) + whole[end:]

        return str(look.regex.sub(one, text))

    def value(self, value: Json, blocked_key: Callable[[str], bool]) -> Json:
        """An AnyValue as it may be seen, at any depth; what stands under a blocked key is hidden whole."""
        for name, held in value.items():
            if name == "stringValue":
                now = self.text(held)
                return value if now == held else {name: now}
            if name in ("arrayValue", "kvlistValue"):
                inside = held.get("values") or []
                become = self.value if name == "arrayValue" else self._pair
                after = [become(item, blocked_key) for item in inside]
                same = all(new is old for new, old in zip(after, inside, strict=True))
                return value if same else {name: {"values": after}}
            if name == "bytesValue":
                return self._bytes(value, held)
            if self._all_types and name in ("intValue", "doubleValue"):
                shown = as_string(plain_value(value))
                now = self.text(shown)
                return value if now == shown else {"stringValue": now}
        return value

    def _pair(self, pair: Json, blocked_key: Callable[[str], bool]) -> Json:
        key, value = pair.get("key", ""), pair.get("value") or {}
        now = self.hidden(value) if blocked_key(key) else self.value(value, blocked_key)
        name = self.text(key)
        return pair if now is value and name == key else {"key": name, "value": now}

    def _bytes(self, value: Json, held: str) -> Json:
        """Bytes that are text are looked at as text."""
        try:
            text = bytes_of_base64(held).decode()
        except ValueError:
            return value
        now = self.text(text)
        return value if now == text else {"bytesValue": base64.b64encode(now.encode()).decode()}

    def hidden(self, value: Json) -> Json:
        """What stands for a whole value."""
        return {"stringValue": self._hide(as_string(plain_value(value)))}
