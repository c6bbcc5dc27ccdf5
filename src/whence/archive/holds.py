"""What a sealed segment holds, as far as retention asks: which rules decide about at least one of its events.

The law: what cannot be read may be anything, and counts as everything. What was found is noted beside the segment, for the
seal and the rules it was found for; a note that is damaged, or was made for others, is made anew.
"""

import hashlib
import re
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
from whence.errors import DataError
from whence.event import names as attributes
from whence.event.model import Event
from whence.otlp.decode import events_of

_VERSION: Final = 1
_BUILT_IN: Final = frozenset({AUDIT, ERRORS})
_AUDIT: Final = attributes.AUDIT.encode()
_PERHAPS_ERROR: Final = re.compile(
    rb'"severityNumber"\s*:\s*"?(?:1[7-9]|2[0-4])|"code"\s*:\s*"?[2S]|"severityText"|"exception"|SEVERITY_NUMBER'
)
"""What a line with an error in it cannot be without; where no other rules are asked, only such lines are decoded."""


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
    found: set[str] = set()
    sparing = all(rule.text in _BUILT_IN for rule in rules)
    try:
        for line in segment.lines(problems):
            if len(found) > len(rules):
                break
            if sparing and not _is_suspect(line.data, found):
                found.add(OTHERS)
                continue
            for event in _events(line):
                found.update(deciding(event, rules))
    except (DataError, OSError):
        return None
    return None if any(problem.kind != "bad line" for problem in problems) else frozenset(found)


def _is_suspect(line: bytes, found: set[str]) -> bool:
    if _AUDIT in line:
        return True
    return not (ERRORS in found and OTHERS in found) and _PERHAPS_ERROR.search(line) is not None


def _events(line: StoredLine) -> list[Event]:
    try:
        return events_of(line.data, line.place)
    except DataError:
        return []


# --- the note ---------------------------------------------------------------------------------------------------------


def _noted(segment: Segment, rules: Sequence[Rule]) -> frozenset[str] | None:
    try:
        digest, _, text = segment.base.with_name(segment.base.name + names.INDEX_HOLDS).read_bytes().partition(b"\n")
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
