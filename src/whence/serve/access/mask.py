"""What is hidden in events on their way out: by key, by pattern, and what detectors find. What is stored stays as it is.

The law: pure. What has nothing to hide is given back as the very object it was. Ids are never hidden: they are what chains
and cursors are made of.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from whence.collect.processors.detectors import DETECTORS, GROUPS
from whence.collect.processors.masking import Masker, replacing
from whence.collect.processors.redaction import RedactionSettings
from whence.collect.records.patterns import pattern
from whence.collect.records.plain import as_string
from whence.event.model import Event
from whence.filter.tree import Path

_TEXTS: Final = (
    "type", "source", "run", "agent", "task", "stage", "status", "correlation", "description",
)  # fmt: skip
_MAPS: Final = ("payload", "attributes", "resource", "scope")


class Mask:
    """One configured mask. Raises ValueError for an expression that cannot be used."""

    def __init__(self, settings: RedactionSettings) -> None:
        wanted = {name for one in settings.detectors for name in GROUPS.get(one, (one,))}
        self._hide = replacing(
            settings.hash_function, settings.hmac_key.get_secret_value() if settings.hmac_key else ""
        )
        self._masker = Masker(
            settings.blocked_values,
            [one for one in DETECTORS if one.name in wanted],
            settings.allowed_values,
            self._hide,
        )
        self._numbers = settings.redact_all_types
        self._only = None if settings.allow_all_keys else frozenset(settings.allowed_keys)
        self._ignored = frozenset(settings.ignored_keys)
        self._ignored_patterns = [pattern(text) for text in settings.ignored_key_patterns]
        self._blocked = [pattern(text) for text in settings.blocked_key_patterns]

    def event(self, event: Event) -> Event:
        """The event as it may be seen."""
        changed: dict[str, Any] = {}
        for name in _TEXTS:
            text = getattr(event, name)
            if text is not None and (now := self.text(text)) != text:
                changed[name] = now
        for name in _MAPS:
            values = getattr(event, name)
            if values and (seen := self._fields(values)) is not values:
                changed[name] = seen
        return replace(event, **changed) if changed else event

    def text(self, text: str) -> str:
        """A text as it may be seen."""
        return self._masker.text(text)

    def hides(self, key: str) -> bool:
        """Whether what stands under a key is hidden whole, or not there at all."""
        return not self._is_ignored(key) and (
            self._is_blocked(key) or (self._only is not None and key not in self._only)
        )

    def hides_path(self, path: Path) -> bool:
        """Whether what a filter finds at a path is hidden: by any key of it, or as an attribute that is not shown at all."""
        if (
            path.keys
            and self._only is not None
            and path.keys[0] not in self._only
            and not self._is_ignored(path.keys[0])
        ):
            return True
        return any(self._is_blocked(key) and not self._is_ignored(key) for key in path.keys)

    def _fields(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Attributes, or what is like them: keys that are not allowed go, blocked ones are hidden, the rest is looked at."""
        found: dict[str, Any] = {}
        same = True
        for key, value in values.items():
            if self._is_ignored(key):
                found[key] = value
                continue
            if self._only is not None and key not in self._only:
                same = False
                continue
            name, now = self.text(key), self.under(key, value)
            same = same and name == key and now is value
            found[name] = now
        return values if same else found

    def under(self, key: str, value: Any) -> Any:
        """The value under a key, as it may be seen."""
        return self._hide(as_string(value)) if self._is_blocked(key) else self.value(value)

    def value(self, value: Any) -> Any:
        """A value as it may be seen, at any depth; what stands under a blocked key is hidden whole."""
        if isinstance(value, str):
            now = self.text(value)
            return value if now == value else now
        if isinstance(value, Mapping):
            pairs = [(self.text(key), self.under(key, item), key, item) for key, item in value.items()]
            same = all(name == key and now is item for name, now, key, item in pairs)
            return value if same else {name: now for name, now, _, _ in pairs}
        if isinstance(value, (list, tuple)):
            items = [self.value(item) for item in value]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        if isinstance(value, (bytes, bytearray)):
            return self._bytes(bytes(value))
        if self._numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
            shown = as_string(value)
            now = self.text(shown)
            return value if now == shown else now
        return value

    def _bytes(self, value: bytes) -> bytes:
        """Bytes that are text are looked at as text."""
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return value
        now = self.text(text)
        return value if now == text else now.encode()

    def _is_blocked(self, key: str) -> bool:
        return any(one.search(key) is not None for one in self._blocked)

    def _is_ignored(self, key: str) -> bool:
        return key in self._ignored or any(one.search(key) is not None for one in self._ignored_patterns)
