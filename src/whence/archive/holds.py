"""What a sealed segment holds, as far as retention asks: which rules decide about at least one of its events.

The law: what cannot be read may be anything, and counts as everything. What was found is noted beside the segment, for the
seal and the rules it was found for; a note that is damaged, or was made for others, is made anew.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Final

import orjson

from whence.archive import names
from whence.archive.encrypt import read_envelope
from whence.archive.folder import open_group, write_whole
from whence.archive.reader import Segment, StoredLine
from whence.archive.retention import AUDIT, ERRORS, OTHERS, Policy, Rule, deciding
from whence.archive.scan import Problem
from whence.archive.sieve import Sieve
from whence.errors import DataError
from whence.event.model import Event
from whence.filter.tree import Either
from whence.otlp.decode import events_of

_VERSION: Final = 1
_BUILT_IN: Final = frozenset({AUDIT, ERRORS})


class Holds(StrEnum):
    """The longest-lived kind of event in a segment, as it stands beside an encrypted one."""

    EVENTS = "events"
    ERRORS = "errors"
    """At least one of severity ERROR or worse."""
    AUDIT = "audit"
    """At least one audit event. What could not be read is taken for it."""


def held_by(segment: Segment) -> Holds:
    """The longest-lived kind of event in a segment."""
    found = held_in(segment, Policy().rules(), noting=False)
    return Holds.AUDIT if AUDIT in found else Holds.ERRORS if ERRORS in found else Holds.EVENTS


def held_in(segment: Segment, rules: Sequence[Rule], *, noting: bool = True) -> frozenset[str]:
    """The texts of the rules that decide about at least one event in a sealed segment, `OTHERS` among them.

    `noting`: whether it is noted beside the segment. Nothing is where the segment is encrypted.
    """
    everything = frozenset({*(rule.text for rule in rules), OTHERS})
    with suppress(DataError, OSError):
        envelope = read_envelope(segment.base)
        if envelope and names.ENCRYPTED in segment.endings:
            return _held_in_encrypted(segment, Holds(envelope.holds), rules, everything)
    noted = _noted(segment, rules) if noting else None
    if noted is not None:
        return noted
    found = _look(segment, rules)
    if found is None:
        return everything
    if noting:
        _note(segment, rules, found)
    return found


def _held_in_encrypted(
    segment: Segment, kind: Holds, rules: Sequence[Rule], everything: frozenset[str]
) -> frozenset[str]:
    """Looked at only where rules ask for more than is known; without the identity each of them may decide."""
    if everything <= {*_BUILT_IN, OTHERS}:
        return frozenset({Holds.AUDIT: {AUDIT}, Holds.ERRORS: {ERRORS, OTHERS}, Holds.EVENTS: {OTHERS}}[kind])
    found = _look(segment, rules)
    if found is not None:
        return found
    return everything - {Holds.AUDIT: frozenset[str](), Holds.ERRORS: {AUDIT}, Holds.EVENTS: {AUDIT, ERRORS}}[kind]


def _look(segment: Segment, rules: Sequence[Rule]) -> frozenset[str] | None:
    """None where not everything can be read."""
    problems: list[Problem] = []
    undecided = _Undecided(rules)
    found, decided = undecided.found, deciding(rules)
    try:
        for line in segment.lines(problems, sieve=undecided):
            if len(found) > len(rules):
                break
            if not line.kept:
                found.add(OTHERS)
                continue
            for event in _events(line):
                found.update(decided(event))
    except (DataError, OSError):
        return None
    return None if any(problem.kind != "bad line" for problem in problems) else frozenset(found)


class _Undecided:
    """A sieve for lines in which there may be an event that a rule decides about of which none was found yet."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.found: set[str] = set()
        """The texts of rules that decide about an event that was found."""
        self._rules = rules
        self._asked: list[Rule] = []
        self._sieve: Sieve | None = None

    def kept(self, lines: list[bytes]) -> Sequence[bool]:
        """Lines in which no rule can hold are the others'; once there are some of those, lines in which no new rule can."""
        asked = [rule for rule in self._rules if OTHERS not in self.found or rule.text not in self.found]
        if self._sieve is None or asked != self._asked:
            self._asked, self._sieve = asked, Sieve(Either(tuple(rule.tree for rule in asked)))
        return self._sieve.kept(lines)

    def left(self, line: bytes) -> bytes:
        """All of it: a record in which no rule holds is one of the others."""
        return line


def _events(line: StoredLine) -> list[Event]:
    try:
        return events_of(line.data, line.place)
    except DataError:
        return []


# --- the note ---------------------------------------------------------------------------------------------------------


def _noted(segment: Segment, rules: Sequence[Rule]) -> frozenset[str] | None:
    try:
        digest, _, text = segment.path(names.INDEX_HOLDS).read_bytes().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            return None
        fields = orjson.loads(text)
        return frozenset(fields["holds"]) if fields | {"holds": ()} == _key(segment, rules) else None
    except (OSError, DataError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _note(segment: Segment, rules: Sequence[Rule], holds: frozenset[str]) -> None:
    """Where the disk takes no note, the segment is looked at again next time."""
    with suppress(OSError, DataError), open_group(segment.root, segment.group or ".") as folder:
        text = orjson.dumps(_key(segment, rules) | {"holds": sorted(holds)})
        digest = hashlib.sha256(text).hexdigest().encode()
        write_whole(folder, segment.base.name + names.INDEX_HOLDS, [digest + b"\n" + text])


def _key(segment: Segment, rules: Sequence[Rule]) -> dict[str, object]:
    """What a note was made for. Raises DataError, OSError."""
    seal = segment.read_seal()
    if seal is None:
        raise DataError("there is no seal")
    return {"version": _VERSION, "seal": seal.digest, "rules": [rule.text for rule in rules], "holds": ()}
