"""The processor `redaction`: removes keys that are not allowed, hides values by key, by pattern, and what detectors find.

It looks everywhere: attributes of resources, scopes, spans, span events, links, log records, data points and exemplars, log
bodies, nested lists and maps and their keys, names and status messages. It runs before anything is stored or sent.
"""

from collections.abc import Callable, Iterable
from typing import Final, Literal

from pydantic import field_validator, model_validator

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.processors.demands import Pattern
from whence.collect.processors.detectors import DETECTORS, GROUPS
from whence.collect.processors.masking import Masker, replacing
from whence.collect.records.draft import Attributes, Draft, Json
from whence.collect.records.patterns import pattern
from whence.collect.records.walk import Place, Visit, rewritten
from whence.collect.settings import Secret, Settings
from whence.event import names
from whence.event.misfits import Misfit, nearest

_OURS: Final = frozenset(
    {names.ID, names.KIND, names.RUN, names.SEQ, names.ELAPSED, names.TURN, names.CAUSED_BY, names.SCHEMA, names.AUDIT}
)
"""What an event is told apart and linked by stays, whatever keys are allowed."""
_NAMES: Final = ("name", "eventName", "description")
_KEYS: Final = [one.name for one in DETECTORS]


class RedactionSettings(Settings):
    """The Collector's keys, and `detectors`. Without `allow_all_keys`, a key that is not named in `allowed_keys` goes."""

    allow_all_keys: bool = False
    allowed_keys: tuple[str, ...] = ()
    ignored_keys: tuple[str, ...] = ()
    ignored_key_patterns: tuple[Pattern, ...] = ()
    redact_all_types: bool = False
    blocked_key_patterns: tuple[Pattern, ...] = ()
    blocked_values: tuple[Pattern, ...] = ()
    allowed_values: tuple[Pattern, ...] = ()
    detectors: tuple[str, ...] = ()
    hash_function: Literal["", "none", "md5", "sha1", "sha3", "hmac-sha256", "hmac-sha512"] = ""
    hmac_key: Secret | None = None
    summary: Literal["", "debug", "info", "silent"] = "silent"

    @field_validator("detectors")
    @classmethod
    def _known(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        for name in found:
            if name not in GROUPS and name not in _KEYS:
                known = [*GROUPS, *_KEYS]
                raise Misfit(
                    f"there is no detector {name!r}{nearest(name, known) or '; there are ' + ', '.join(known)}"
                )
        return found

    @model_validator(mode="after")
    def _key(self) -> "RedactionSettings":
        if self.hash_function.startswith("hmac") and not (self.hmac_key and self.hmac_key.get_secret_value()):
            raise Misfit(f"hash_function {self.hash_function} needs an hmac_key")
        return self


class _Redaction:
    """One configured redaction."""

    def __init__(self, settings: RedactionSettings, host: Host) -> None:
        wanted = {name for one in settings.detectors for name in GROUPS.get(one, (one,))}
        key = settings.hmac_key.get_secret_value() if settings.hmac_key else ""
        self._masker = Masker(
            settings.blocked_values,
            [one for one in DETECTORS if one.name in wanted],
            settings.allowed_values,
            replacing(settings.hash_function, key),
            settings.redact_all_types,
        )
        self._settings = settings
        self._allowed = frozenset(settings.allowed_keys) | _OURS
        self._ignored = frozenset(settings.ignored_keys)
        self._ignored_patterns = [pattern(text).search for text in settings.ignored_key_patterns]
        self._blocked = [pattern(text).search for text in settings.blocked_key_patterns]
        self._host = host

    def process(self, batch: Batch) -> Batch:
        """The batch as it may be seen."""
        counts = [0, 0]  # removed, masked

        def resource(place: Place) -> bool:
            self._attributes(place.resource.attributes, counts)
            return True

        def scope(place: Place) -> bool:
            if place.scope is not None:
                self._names(place.scope, counts)
                self._attributes(place.scope.attributes, counts)
            return True

        def record(place: Place) -> bool:
            if place.record is not None:
                self._record(place.record, counts)
            return True

        def inner(place: Place) -> bool:
            if place.inner is not None:
                self._names(place.inner, counts)
                self._attributes(place.inner.attributes, counts)
                self._list(place.inner, "exemplars", "filteredAttributes", counts)
            return True

        after = rewritten(batch, Visit(resource, scope, record, None if batch.signal == "logs" else inner))
        labels = {"processor": self._host.id}
        for n, what in zip(counts, ("removed", "masked"), strict=True):
            if n:
                self._host.telemetry.count(f"whence_processor_redaction_{what}", n, **labels)
        return batch if after is None else after

    def _record(self, record: Draft, counts: list[int]) -> None:
        self._names(record, counts)
        self._attributes(record.attributes, counts)
        self._list(record, "links", "attributes", counts)
        if record.get("metadata"):
            self._attributes(record.pairs("metadata"), counts)
        if status := record.get("status"):
            draft = Draft(status)
            self._text(draft, "message", counts)
            if draft.result() is not status:
                record.set("status", draft.result())
        if body := record.get("body"):
            now = self._body(body, counts)
            if now is not body:
                record.set("body", now)

    def _body(self, body: Json, counts: list[int]) -> Json:
        """A body that is a map is treated as attributes are; any other as a value."""
        if "kvlistValue" in body:
            attributes = Attributes((body["kvlistValue"] or {}).get("values"))
            self._attributes(attributes, counts)
            return {"kvlistValue": {"values": attributes.result()}} if attributes.changed else body
        now = self._masker.value(body, self._is_blocked)
        counts[1] += now is not body
        return now

    def _attributes(self, attributes: Attributes, counts: list[int]) -> None:
        removed, masked = [], []
        for key in list(attributes):
            if key in self._ignored or any(search(key) is not None for search in self._ignored_patterns):
                continue
            if not self._settings.allow_all_keys and key not in self._allowed:
                del attributes[key]
                removed.append(key)
                continue
            value = attributes.raw(key) or {}
            now = self._masker.hidden(value) if self._is_blocked(key) else self._masker.value(value, self._is_blocked)
            name = self._masker.text(key)
            if name != key:
                del attributes[key]
            if now is not value or name != key:
                attributes.put(name, now)
                masked.append(name)
        counts[0] += len(removed)
        counts[1] += len(masked)
        if removed or masked:
            self._summarize(attributes, removed, masked)

    def _summarize(self, attributes: Attributes, removed: list[str], masked: list[str]) -> None:
        """What was done, as attributes, where it is asked for."""
        if self._settings.summary not in ("debug", "info"):
            return
        for what, keys in (("redacted", removed), ("masked", masked)):
            if keys:
                attributes[f"redaction.{what}.count"] = len(keys)
                if self._settings.summary == "debug":
                    attributes[f"redaction.{what}.keys"] = ",".join(sorted(self._masker.text(key) for key in keys))

    def _names(self, of: Draft, counts: list[int]) -> None:
        for name in _NAMES:
            self._text(of, name, counts)

    def _text(self, of: Draft, name: str, counts: list[int]) -> None:
        text = of.get(name)
        if isinstance(text, str) and (now := self._masker.text(text)) != text:
            of.set(name, now)
            counts[1] += 1

    def _list(self, of: Draft, name: str, pairs: str, counts: list[int]) -> None:
        """The attributes of each object in a list."""
        before: Iterable[Json] = of.get(name) or ()
        drafts = [Draft(item) for item in before]
        for draft in drafts:
            if draft.get(pairs):
                self._attributes(draft.pairs(pairs), counts)
        after = [draft.result() for draft in drafts]
        if any(new is not draft.original for new, draft in zip(after, drafts, strict=True)):
            of.set(name, after)

    def _is_blocked(self, key: str) -> bool:
        return any(search(key) is not None for search in self._blocked)


def build(settings: RedactionSettings, host: Host, next: Consumer) -> Callable[[Batch], Batch | None]:
    """The processor."""
    return _Redaction(settings, host).process


PLUG = Plug(RedactionSettings, build)
