"""Retention by filter: the first rule that matches says how long an event is kept, a file stays for the longest of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build import Built, an_archive, an_event, append
from whence.archive import names
from whence.archive.encrypt import VARIABLE
from whence.archive.holds import held_in
from whence.archive.reader import Archive, Segment
from whence.archive.retention import AUDIT, DAY, ERRORS, OTHERS, Holding, Policy, Rule, deciding, plan
from whence.archive.rules import rule_of
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.cli.app import call
from whence.errors import ConfigError, FilterError
from whence.event import names as attributes
from whence.event.kinds import Severity
from whence.event.model import Event

NOW = 1_800_000_000 * 10**9
AUDITED = {attributes.AUDIT: True}


def keep(**days: float) -> tuple[Rule, ...]:
    """A rule for each type."""
    return tuple(rule_of(f"type = '{name}'", life, NOW) for name, life in days.items())


def only_segment(archive: Path) -> Segment:
    (segment,) = Archive(archive).segments()
    return segment


def an_old_archive(path: Path, *events: Built) -> Path:
    """One sealed segment; its events are from 2023."""
    return an_archive(path, list(events))


# --- pure -------------------------------------------------------------------------------------------------------------


def decided(event: Event, *rules: Rule) -> set[str]:
    return set(deciding(Policy(keep=rules).rules())(event))


def test_the_first_rule_that_matches_decides() -> None:
    """In the order given, before the built-in one for errors; events that none names are the others."""
    short, long = keep(a=1)[0], rule_of("type IN ('a', 'b')", 90, NOW)
    error = Event(id="1", type="a", time=0, severity=Severity.ERROR)
    assert decided(error, short, long) == {short.text}
    assert decided(error, long, short) == {long.text}
    assert decided(error) == {ERRORS}
    assert decided(Event(id="1", type="c", time=0), short, long) == {OTHERS}


def test_audit_events_are_kept_whatever_rules_say() -> None:
    """A rule can keep them longer, never shorter."""
    audit = Event(id="1", type="a", time=0, attributes=AUDITED)
    (short,) = keep(a=1)
    assert decided(audit, short) == {AUDIT, short.text}
    for days, kept in ((1, 2_555), (9_999, 9_999)):
        policy = Policy(keep=keep(a=days))
        assert policy.keeper(decided(audit, *policy.keep))[1] == kept


def test_the_built_in_rule_for_errors_can_be_overridden() -> None:
    """By the same filter in any spelling."""
    policy = Policy(keep=(rule_of("SEVERITY>=error", 7, NOW),))
    assert policy.keeper({ERRORS}) == (ERRORS, 7)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1), st.permutations(["a", "b", "c"]), st.data())
def test_a_file_stays_as_long_as_its_longest_lived_event_needs(types: list[str], order: list[str], data) -> None:  # type: ignore[no-untyped-def]
    """Whatever the rules, their order and their days."""
    days = {name: data.draw(st.integers(0, 100)) for name in order}
    policy = Policy(days=30, keep=keep(**days))
    events = [Event(id=str(n), type=name, time=0) for n, name in enumerate(types)]
    holds = frozenset(text for event in events for text in deciding(policy.rules())(event))
    longest = max(days.get(name, 30) for name in types)
    for age, goes in ((longest - 0.5, False), (longest + 0.5, True)):
        one = Holding("g", "s", NOW - int(age * DAY), 1, 1, True, holds)
        assert bool(plan([one], policy, NOW, even_most=True).going) == goes


def test_what_was_not_looked_at_may_be_the_shortest_lived() -> None:
    """So that a file whose every event is short-lived is found at its time."""
    one = Holding("g", "s", NOW - 2 * DAY, 1, 1, True, None)
    assert plan([one], Policy(), NOW, even_most=True).going == ()
    assert len(plan([one], Policy(keep=keep(a=1)), NOW, even_most=True).going) == 1


@pytest.mark.parametrize("text", ["CAUSED_BY (type = 'x')", "ROOT", "NOT (ORPHAN OR type = 'x')"])
def test_a_rule_cannot_ask_for_causes(text: str) -> None:
    """They are other events, which may be gone already."""
    with pytest.raises(FilterError, match="a rule looks at one event at a time"):
        rule_of(text, 1, NOW)


def test_a_rule_is_about_some_events_and_not_about_audit() -> None:
    """The days of all others, and of audit events, are said elsewhere."""
    with pytest.raises(ConfigError, match="set days"):
        rule_of("", 1, NOW)
    with pytest.raises(ConfigError, match="set audit_days"):
        rule_of('attributes."whence.audit" = TRUE', 1, NOW)


# --- looking into files -----------------------------------------------------------------------------------------------


def test_what_a_file_holds_is_noted_and_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this seal and these rules; the days may change."""
    archive = an_old_archive(tmp_path / "x", an_event("a"), an_event("b"))
    rules = Policy(keep=keep(a=1)).rules()
    held = {rules[1].text, OTHERS}
    assert held_in(only_segment(archive), rules) == held
    with monkeypatch.context() as patch:
        patch.setattr(Segment, "lines", lambda *_: pytest.fail("it was read again"))
        assert held_in(only_segment(archive), Policy(days=1, keep=keep(a=9)).rules()) == held
    assert held_in(only_segment(archive), Policy(keep=keep(b=1)).rules()) == {keep(b=1)[0].text, OTHERS}


def test_a_damaged_note_is_made_anew(tmp_path: Path) -> None:
    """Every single changed byte of it is seen."""
    archive = an_old_archive(tmp_path / "x", an_event("a"), an_event("b"))
    rules = Policy(keep=keep(a=1, c=5)).rules()
    held = held_in(only_segment(archive), rules)
    (note,) = archive.rglob("*" + names.INDEX_HOLDS)
    whole = note.read_bytes()
    for at in range(len(whole)):
        note.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        assert held_in(only_segment(archive), rules) == held
        assert note.read_bytes() == whole


def test_a_damaged_file_counts_as_everything_and_is_not_noted(tmp_path: Path) -> None:
    """It stays as long as anything may."""
    archive = an_old_archive(tmp_path / "x", an_event("a", description="one"))
    rules = Policy(keep=keep(a=1)).rules()
    (file,) = archive.rglob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-20])
    assert held_in(only_segment(archive), rules) == {AUDIT, ERRORS, rules[1].text, OTHERS}
    assert not list(archive.rglob("*" + names.INDEX_HOLDS))


def test_without_the_identity_every_rule_may_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it the file is looked at; nothing about it lies beside it."""
    pyrage = pytest.importorskip("pyrage")
    identity = pyrage.x25519.Identity.generate()
    recipients = (str(identity.to_public()),)
    writer = ArchiveWriter(tmp_path / "x", WriterOptions(encrypt_to=recipients))
    append(writer, [an_event("a")])
    writer.close()
    rules = Policy(keep=keep(a=1, b=9)).rules()
    monkeypatch.delenv(VARIABLE, raising=False)
    assert held_in(only_segment(tmp_path / "x"), rules) == {rules[1].text, rules[2].text, OTHERS}
    key = tmp_path / "key"
    key.write_text(str(identity))
    monkeypatch.setenv(VARIABLE, str(key))
    assert held_in(only_segment(tmp_path / "x"), rules) == {rules[1].text}
    assert not list((tmp_path / "x").rglob("*" + names.INDEX_HOLDS))


# --- the command ------------------------------------------------------------------------------------------------------


def rows_of(archive: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, object]]:
    """The plan by run, as `--dry-run --json` tells it."""
    capsys.readouterr()
    assert call(["retain", "-a", str(archive), "--dry-run", "--even-most", "--json", *options]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["file"].partition("/")[0]: row for row in rows}


def test_the_dry_run_says_of_each_file_which_rule_removes_or_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options before variables before the file; the first rule that matches; audit events whatever the rules say."""
    events = [
        an_event("noise", run="noise"),
        an_event("noise", run="mixed"),
        an_event("step", run="mixed"),
        an_event("step", run="failed", severity=Severity.ERROR),
        an_event("noise", run="audited", attributes=AUDITED),
    ]
    archive = an_archive(tmp_path / "x", events)
    file = tmp_path / "whence.yaml"
    file.write_text("retention:\n  days: 9\n  error_days: 50\n  keep:\n    type = 'noise': 0\n")
    monkeypatch.setenv("WHENCE_CONFIG", str(file))
    rows = rows_of(archive, capsys)
    assert rows["noise"]["reason"] == "older than 0 days: type = 'noise'"
    assert (rows["mixed"]["kept_by"], rows["mixed"]["days"]) == (OTHERS, 9)
    assert (rows["failed"]["kept_by"], rows["failed"]["days"]) == (ERRORS, 50)
    assert (rows["audited"]["kept_by"], rows["audited"]["days"]) == (AUDIT, 2_555)
    monkeypatch.setenv("WHENCE_RETENTION_KEEP", json.dumps({"type = 'noise'": 3, "type = 'step'": 0}))
    rows = rows_of(archive, capsys)
    assert rows["failed"]["reason"] == "older than 0 days: type = 'step'"
    assert (rows["mixed"]["kept_by"], rows["mixed"]["days"]) == ("type = 'noise'", 3)
    rows = rows_of(archive, capsys, "--keep", "type = 'noise' AND time < '2030-01-01T00:00':0", "--days", "7")
    assert [run for run in rows if "reason" in rows[run]] == ["noise"]
    assert call(["retain", "-a", str(archive), "--even-most", "--keep", "type = 'noise':0"]) == 0
    assert {event.run for event in Archive(archive).events()} == {"mixed", "failed", "audited", "whence"}


def test_text_of_the_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a file: what goes, and what keeps the others for how long."""
    archive = an_archive(tmp_path / "x", [an_event("a"), an_event("b", run="other")])
    assert call(["retain", "-a", str(archive), "--dry-run", "--even-most", "--keep", "type = 'a':0"]) == 0
    said = capsys.readouterr().out
    assert "older than 0 days: type = 'a'" in said
    assert f"stays 30 more days, 30 in all: {OTHERS}" in said
    assert call(["retain", "-a", str(archive), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("stays: too young for any rule") == 2


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("type = 'a'", "no rule"),
        (":3", "no rule"),
        ("type = 'a':-1", "no rule"),
        ("type = 'a':nan", "no rule"),
        ("typo = 'a':3", "typo"),
        ("ROOT:3", "one event at a time"),
    ],
)
def test_a_wrong_rule_is_a_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str, said: str
) -> None:
    """Exit code 2, and nothing is removed."""
    archive = an_archive(tmp_path / "x", [an_event("a")])
    assert call(["retain", "-a", str(archive), "--keep", rule]) == 2
    assert said in capsys.readouterr().err
