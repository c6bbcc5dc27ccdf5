"""Bad input and trouble, as a user meets them: an error that says what to do, or an archive that says what became of it."""

import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry._logs import get_logger
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import whence
from build_disks import a_disk, fill
from build_examples import examples
from build_walk import is_sound, recorded, run, whence_cli
from waiting import until
from whence.archive.reader import Archive
from whence.event import names
from whence.event.vocabularies.simulation import Decision
from whence.record import append
from whence.record import configure as process
from whence.record.recorder import Recorder
from whence.record.sink import Sink

Start = Callable[..., Recorder]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Begins a recorder on `archive` in the test's folder, run `r`; the test may give other settings."""

    def begin(**given: Any) -> Recorder:
        return whence.configure(
            **{
                "archive": tmp_path / "archive",
                "run": "r",
                "logging": False,
                "metrics": False,
                "verbosity": "detail",
                **given,
            }
        )

    yield begin
    whence.shutdown(10)
    process._recorder = None


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Small disks of their own (tmpfs with these mount options), where this machine allows mounting."""
    number = count()
    with ExitStack() as mounted:
        yield lambda options: mounted.enter_context(a_disk(tmp_path / f"disk-{next(number)}", options))
        whence.shutdown(1)


# --- where the archive is to be -------------------------------------------------------------------------------------------


def test_an_archive_path_that_is_a_file_is_refused_with_what_to_do(start: Start, tmp_path: Path) -> None:
    """Configure raises, names the path and the cause; the command line does the same, and the file is as it was."""
    (tmp_path / "archive").write_text("mine")
    with pytest.raises(whence.StorageError, match=r"archive: it is a file, not a directory; name a directory"):
        start()
    said = whence_cli("runs", "-a", tmp_path / "archive", code=None)
    assert said.returncode != 0
    assert "archive" in said.stderr
    assert "Traceback" not in said.stderr
    assert (tmp_path / "archive").read_text() == "mine"


def test_a_path_below_a_file_is_refused_too(start: Start, tmp_path: Path) -> None:
    """A file where a parent directory belongs is named as the cause."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(whence.StorageError, match=r"cannot write an archive in .*file/archive"):
        start(archive=tmp_path / "file" / "archive")


@pytest.mark.linux_root
def test_a_directory_that_may_not_be_written_is_refused() -> None:
    """A user without the right hears it when the program starts, not when the first event is lost."""
    if os.geteuid() != 0:
        pytest.skip("giving rights away needs root")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        said = run("unwritable.py", f"{place}/archive").stdout
    assert "cannot write an archive in" in said
    assert "Permission denied" in said
    assert "name a directory that can be written" in said


@pytest.mark.linux_root
def test_a_read_only_disk_is_refused(start: Start, disk: Callable[[str], Path]) -> None:
    """A file system mounted read-only is named as what it is."""
    with pytest.raises(whence.StorageError, match="Read-only file system"):
        start(archive=disk("ro,size=64k") / "archive")


def test_a_program_refused_can_go_on_elsewhere(start: Start, tmp_path: Path) -> None:
    """After a refused configure another one works, and nothing is left of the first."""
    (tmp_path / "file").write_text("")
    with pytest.raises(whence.StorageError):
        start(archive=tmp_path / "file")
    start()
    whence.log("after")
    assert whence.shutdown(60).complete
    assert [event.type for event in recorded(tmp_path / "archive")] == ["after"]


@pytest.mark.parametrize("again", [False, True], ids=["made anew by whence", "made anew by somebody else"])
def test_an_archive_deleted_under_the_program_is_made_again(start: Start, tmp_path: Path, again: bool) -> None:
    """`rm -rf` while recording: nothing is raised, and everything emitted from then on is in a new archive."""
    archive = tmp_path / "archive"
    start()
    whence.log("gone")
    assert whence.flush(60)
    shutil.rmtree(archive)
    if again:
        archive.mkdir()
    for n in range(100):
        whence.log("kept", {"n": n})
    assert whence.flush(60)
    assert whence.shutdown(60).complete
    assert [event.payload["n"] for event in recorded(archive) if event.type == "kept"] == list(range(100))
    is_sound(archive)


# --- a full disk ------------------------------------------------------------------------------------------------------------


@pytest.mark.linux_root
def test_a_full_disk_never_reaches_the_application(start: Start, disk: Callable[[str], Path]) -> None:
    """Nothing is raised; status says how it is; memory keeps what it can and writes it when there is room; what memory could
    not keep is counted exactly and recorded as an event."""
    place = disk("size=1m")
    recorder = start(archive=place / "archive", hold_bytes="300KiB")
    ballast = fill(place)
    emitted = 0
    while recorder.status.dropped.get("storage", 0) < 50:
        whence.log("step", {"n": emitted, "text": "x" * 1000})
        emitted += 1
        assert emitted < 20_000
    until(lambda: recorder.status.archive.state == "holding")
    assert "the disk is full" in str(recorder.status.archive.reason)
    assert 0 < recorder.status.archive.held_bytes <= 300 << 10
    assert not whence.flush(0.2)
    ballast.unlink()
    until(lambda: recorder.status.archive.state == "ok")
    assert whence.flush(60)
    whence.log("after")
    report = whence.shutdown(10)
    lost = report.dropped["storage"]
    assert report.unwritten == 0
    assert report.reason is None

    events = recorded(place / "archive", own=True)
    steps = [event.payload["n"] for event in events if event.type == "step"]
    assert len(steps) + lost == emitted
    assert steps == sorted(steps)
    drops = [event.payload for event in events if event.type == names.TYPE_DROPPED]
    assert sum(drop["count"] for drop in drops) == lost
    assert {drop["reason"] for drop in drops} == {"storage"}
    assert any(event.type == "after" for event in events)
    is_sound(place / "archive")


@pytest.mark.linux_root
def test_a_durable_event_on_a_full_disk_raises_in_bounded_time(
    start: Start, disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears that it is not on disk, and what to do; it is kept, and written once there is room."""
    monkeypatch.setattr(append, "DURABLE_SECONDS", 0.3)
    place = disk("size=1m")
    start(archive=place / "archive", durability="durable")
    whence.log("before")
    ballast = fill(place)
    for n in range(2):
        with pytest.raises(whence.StorageError, match=r"run 'r' did not reach the disk within 0\.3 s"):
            whence.log("meanwhile", {"n": n, "text": "x" * 5000})
    ballast.unlink()
    assert whence.flush(60)
    whence.log("after")
    assert whence.shutdown(60).complete
    assert [event.type for event in recorded(place / "archive")] == ["before", "meanwhile", "meanwhile", "after"]


@pytest.mark.linux_root
def test_a_durable_event_that_memory_cannot_hold_raises(
    start: Start, disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event whose emit returned is missing, also where the disk is full and the memory for it too."""
    monkeypatch.setattr(append, "DURABLE_SECONDS", 0.3)
    place = disk("size=1m")
    start(archive=place / "archive", durability="durable", hold_bytes=100)
    fill(place)
    with pytest.raises(whence.StorageError):
        whence.log("lost", {"text": "x" * 5000})
    report = whence.shutdown(0.5)
    assert report.dropped["storage"] >= 1


@pytest.mark.linux_root
def test_shutting_down_on_a_full_disk_says_how_much_is_lost(start: Start, disk: Callable[[str], Path]) -> None:
    """The report counts what only memory had, says why, and is there in time."""
    place = disk("size=256k")
    start(archive=place / "archive")
    fill(place)
    for n in range(200):
        whence.log("step", {"n": n, "text": "x" * 1000})
    report = whence.shutdown(0.5)
    assert not report.complete
    assert "the disk is full" in str(report.reason)
    found = recorded(place / "archive", own=True)
    assert len(found) == report.stored
    assert report.unwritten + report.stored == 202  # with the run's start and finish


# --- files that are not what they should be -------------------------------------------------------------------------------


def test_a_torn_tail_is_set_aside_and_the_run_goes_on(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a line at the end of a dead program's file: readers show the rest, the next start sets it aside and says so."""
    archive = tmp_path / "archive"
    run("left_behind.py", archive, "r", 5)
    (file,) = archive.rglob("logs-*.jsonl")
    with file.open("ab") as tail:
        tail.write(b'{"resourceLogs":[{"sco')
    said = whence_cli("log", "-a", archive, "--type", "step")
    assert said.stdout.count("step") >= 5
    assert "1 damaged place was skipped: whence verify" in said.stderr
    with caplog.at_level(logging.WARNING, "whence.archive"):
        recorder = start()
        assert recorder.run.last_seq == 7  # two starts and five steps
        whence.log("after")
        assert whence.shutdown(60).complete
    assert "set aside a torn line" in caplog.text
    assert [event.type for event in recorded(archive)] == ["step"] * 5 + ["after"]
    assert file.with_name(file.name + f".torn-{file.stat().st_size}").read_bytes() == b'{"resourceLogs":[{"sco'
    whence_cli("verify", "-a", archive)


@pytest.mark.parametrize("sealed", [True, False])
def test_garbage_in_the_middle_of_a_file_costs_nothing_else(start: Start, tmp_path: Path, sealed: bool) -> None:
    """A line overwritten with rubbish is skipped and said; every other event is shown, and recording goes on."""
    archive = tmp_path / "archive"
    if sealed:
        start()
        for n in range(9):
            whence.log("step", {"n": n})
            assert whence.flush(60)
        assert whence.shutdown(60).complete
    else:
        run("left_behind.py", archive, "r", 9)
    (file,) = archive.rglob("logs-*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    (hit,) = [n for n, line in enumerate(lines) if b'{"key":"n","value":{"intValue":"3"}}' in line]
    at = sum(map(len, lines[:hit]))
    with file.open("r+b") as damaged:
        damaged.seek(at)
        damaged.write(b"\x00\xff rubbish \xe2\x80\xa8 ".ljust(len(lines[hit]) - 1, b"?"))
    said = whence_cli("log", "-a", archive, "--type", "step", "--json")
    assert [json.loads(line)["payload"]["n"] for line in said.stdout.splitlines()] == [0, 1, 2, 4, 5, 6, 7, 8]
    assert "skipped" in said.stderr
    checked = whence_cli("verify", "-a", archive, code=1)
    assert f"at byte {at}" in checked.stdout or (sealed and "not those that were sealed" in checked.stdout)
    assert start().run.last_seq == (12 if sealed else 11)
    whence.log("after")
    assert whence.shutdown(60).complete


def test_empty_files_are_no_trouble(start: Start, tmp_path: Path) -> None:
    """Files of nothing, ours (a writer killed before its first line) and others', neither stop nor disturb anything."""
    archive = tmp_path / "archive"
    run("left_behind.py", archive, "r", 2)
    (file,) = archive.rglob("logs-*.jsonl")
    (file.parent / file.name.replace("000001", "000002")).touch()
    (archive / "theirs.jsonl").touch()
    (archive / "theirs.jsonl.zst").touch()
    whence_cli("runs", "-a", archive)
    whence_cli("verify", "-a", archive)
    start()
    whence.log("after")
    assert whence.shutdown(60).complete
    assert [event.type for event in recorded(archive)] == ["step", "step", "after"]


def by_the_official_exporters(directory: Path) -> tuple[Path, Path]:
    """A span with an event in it and a plain log, written by OpenTelemetry's own OTLP JSON file exporters."""
    directory.mkdir(parents=True, exist_ok=True)
    spans, logs = directory / "their-spans.jsonl", directory / "their-logs.jsonl"
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(FileSpanExporter(str(spans))))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(FileLogExporter(str(logs))))
    with tracers.get_tracer("theirs").start_as_current_span("their.work"):
        loggers.get_logger("theirs").emit(event_name="their.event", attributes={"n": 2**40, "deep": {"a": [1, None]}})
    tracers.shutdown()
    loggers.shutdown()
    return spans, logs


def test_a_file_of_the_official_exporter_in_the_archive_is_read_as_it_is(start: Start, tmp_path: Path) -> None:
    """Another writer's OTLP JSON Lines, put into the archive's folder, are events like any."""
    start()
    whence.log("ours")
    assert whence.shutdown(60).complete
    by_the_official_exporters(tmp_path / "archive" / "theirs")
    said = whence_cli("log", "-a", tmp_path / "archive", "--json")
    found = {event["type"]: event for event in map(json.loads, said.stdout.splitlines())}
    assert {"ours", "their.work", "their.event"} <= found.keys()
    assert found["their.event"]["span_id"] == found["their.work"]["span_id"]
    why = whence_cli("why", found["their.event"]["id"], "-a", tmp_path / "archive")
    assert "their.work" in why.stdout


def test_a_file_of_the_official_exporter_is_imported_once(tmp_path: Path) -> None:
    """`whence import` takes it in, and taking it in again shows nothing twice."""
    files = by_the_official_exporters(tmp_path / "elsewhere")
    for _ in range(2):
        said = whence_cli("import", *files, "-a", tmp_path / "archive")
        assert "1 records in 1 lines" in said.stdout
    found = list(Archive(tmp_path / "archive").events())
    assert sorted(event.type for event in found) == ["their.event", "their.work"]
    (event,) = [event for event in found if event.type == "their.event"]
    assert event.attributes["n"] == 2**40
    assert event.attributes["deep"] == {"a": [1, None]}


# --- run ids ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id",
    [
        "../../x",
        "",
        "r" * 300,
        "nul\0nul",
        "a/b\\c",
        "🦊 fox",
        "lone\ud800",
        ".",
        "..",
        "CON",
        "~2F",
        "a\nb",
        "\u202eabc",
        "x" * 200 + "/",
    ],
    ids=lambda id: ascii(id)[:12],
)
def test_any_run_id_makes_a_run_that_is_found_again(start: Start, tmp_path: Path, id: str) -> None:
    """Its events stay inside the archive's folder, its numbering goes on at the next start, and the command line finds it."""
    archive = tmp_path / "archive"
    start(run=id)
    whence.log("thing")
    assert whence.shutdown(60).complete
    assert start(run=id).run.last_seq == 4
    assert whence.shutdown(60).complete
    assert {path.name for path in tmp_path.iterdir()} == {"archive"}
    assert all(path.parent.parent == archive for path in archive.rglob("*.jsonl*"))
    events = recorded(archive, own=True)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    stored = id.encode("utf-8", "backslashreplace").decode()
    assert {event.run for event in events} == {stored}


@given(st.text(st.characters(codec=None), max_size=400))  # type: ignore[arg-type]
@examples(25)
def test_no_run_id_leads_out_of_the_archive(start: Start, tmp_path: Path, id: str) -> None:
    """Whatever the text."""
    recorder = start()
    with recorder.open_run(id):
        whence.log("thing")
    assert whence.flush(60)
    assert {path.name for path in tmp_path.iterdir()} == {"archive"}
    assert all(path.parent.parent == tmp_path / "archive" for path in (tmp_path / "archive").rglob("*.jsonl*"))


# --- events ---------------------------------------------------------------------------------------------------------------


def test_an_event_that_does_not_fit_its_model_is_the_callers_error(start: Start, tmp_path: Path) -> None:
    """The message names the field; nothing of it is recorded, and the next event is."""
    start()
    with pytest.raises(whence.EventError, match="turn"):
        whence.emit(Decision, lambda: {"decision_type": "price", "turn": "soon"})
    with pytest.raises(whence.EventError, match="decision_type"):
        whence.log("decision", {"new_value": 1}, validated=True)
    whence.decision("price", 1, 2)
    assert whence.shutdown(60).complete
    assert [event.seq for event in recorded(tmp_path / "archive")] == [2]


class Unprintable:
    """Whatever is asked of it, it refuses."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class Sly(dict):  # type: ignore[type-arg]
    """A dict whose reading fails."""

    def items(self) -> Any:
        raise RuntimeError("no")

    __iter__ = items


def cyclic() -> dict[str, Any]:
    found: dict[str, Any] = {"name": "snake"}
    found["tail"] = [found]
    return found


def deep(levels: int) -> Any:
    found: Any = "bottom"
    for n in range(levels):
        found = {"in": found} if n % 2 else [found]
    return found


STRANGE: Mapping[str, Callable[[], Any]] = {
    "a cycle": cyclic,
    "2,000 deep": lambda: deep(2_000),
    "100,000 deep": lambda: deep(100_000),
    "not finite": lambda: [float("nan"), float("inf"), float("-inf")],
    "2**80": lambda: [2**80, -(2**80), 2**63 - 1, -(2**63), 10**5000],
    "lone surrogates": lambda: {"\ud800": "a\udfffb"},
    "cannot be printed": Unprintable,
    "cannot be printed, as a key": lambda: {Unprintable(): 1},
    "a dict that cannot be read": lambda: Sly(a=1),
    "keys that are no text": lambda: {1: "a", None: "b", (1, 2): "c"},
    "bytes": lambda: b"\x00\xff",
    "a set": lambda: {1},
    "a type": lambda: dict,
    "a generator": lambda: (n for n in range(3)),
    "a function": lambda: test_a_cause_that_does_not_exist_is_recorded_and_told,
    "control characters": lambda: "\x1b[31mred\x00\u2028\u0085",
    "a megabyte": lambda: "x" * (1 << 20),
}


@pytest.mark.parametrize("strange", list(STRANGE))
def test_any_payload_costs_at_most_itself(start: Start, tmp_path: Path, strange: str) -> None:
    """The event is there with what could be kept, those before and after it too, and nothing is raised."""
    start()
    whence.log("before", {"n": 1})
    ref = whence.log("strange", {"value": STRANGE[strange](), "beside": 7})
    whence.detail("strange", {"value": STRANGE[strange]()})
    with whence.batch():
        whence.log("in_batch", {"value": STRANGE[strange]()})
        whence.log("in_batch", {"n": 2})
    with suppress(Exception):  # OpenTelemetry's own SDK may refuse it before we see it
        get_logger("plain").emit(event_name="plain", body=STRANGE[strange](), attributes={"value": STRANGE[strange]()})
    with suppress(Exception), trace.get_tracer("plain").start_as_current_span("span") as span:
        span.set_attribute("value", STRANGE[strange]())
    whence.log("after", {"n": 3})
    report = whence.shutdown(10)
    assert report.unwritten == 0
    assert report.dropped == {}
    events = recorded(tmp_path / "archive")
    assert {"before", "strange", "detail", "in_batch", "after", "span"} <= {event.type for event in events}
    (event,) = [event for event in events if event.type == "strange"]
    assert event.id == str(ref)
    assert "value" in event.payload or "text" in event.payload
    whence_cli("log", "-a", tmp_path / "archive", "--json")


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))  # type: ignore[arg-type]
    | st.binary()
    | st.builds(Unprintable)
    | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.tuples(inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


def same(kept: Any, given: Any) -> bool:
    """Whether what was kept is what was given, as far as OTLP has a place for it."""
    if isinstance(given, float):
        return (given != given and kept != kept) or kept == given
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) >= 2**63:
        return True
    if isinstance(given, (list, tuple)):
        return isinstance(kept, list) and len(kept) == len(given) and all(map(same, kept, given))
    if isinstance(given, dict) and all(isinstance(key, str) for key in given):
        return kept.keys() == given.keys() and all(same(kept[key], given[key]) for key in given)
    if isinstance(given, str) and given.isprintable():
        return bool(kept == given)
    if given is None or isinstance(given, (bool, int, bytes)):
        return type(kept) is type(given) and kept == given
    return True


@given(st.lists(odd, min_size=1, max_size=20))
@examples(25)
def test_what_goes_in_comes_out(start: Start, tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    """Any values at all: each event is there, in order, and whatever OTLP can hold is the very same."""
    archive = tmp_path_factory.mktemp("odd") / "archive"
    start(archive=archive)
    for value in values:
        whence.log("odd", {"value": value})
    report = whence.shutdown(10)
    assert report.complete
    found = [event.payload for event in recorded(archive)]
    assert len(found) == len(values)
    for kept, value in zip(found, values, strict=True):
        assert same(kept["value"], value), (kept["value"], value)


def test_a_payload_changed_after_the_emit_is_recorded_as_it_was(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program does with its own dicts and lists afterwards is no part of the event."""
    changed = threading.Event()
    encode, encode_whole = Sink.store, Sink.store_whole
    monkeypatch.setattr(Sink, "store", lambda *given: changed.wait(90) and encode(*given))
    monkeypatch.setattr(Sink, "store_whole", lambda *given: changed.wait(90) and encode_whole(*given))
    start()
    payload: dict[str, Any] = {"price": 1, "why": ["cheap"], "deep": {"stock": [1, 2]}}
    whence.log("priced", payload)
    whence.action("priced", payload)
    with whence.batch():
        whence.log("in_batch", payload)
        payload["price"] = 2
    payload["why"].append("late")
    payload["deep"]["stock"].clear()
    payload["self"] = payload
    changed.set()
    assert whence.shutdown(60).complete
    for event in recorded(tmp_path / "archive"):
        kept = event.payload.get("action_payload", event.payload)
        assert kept == {"price": 1, "why": ["cheap"], "deep": {"stock": [1, 2]}}, event.type


def test_a_handler_that_raises_disturbs_nobody(start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The emitter gets its reference, the other handler its event, the archive both, and the log the handler's fault."""
    start()
    heard = []
    whence.on("pri*", lambda event: 1 / 0)
    whence.on("*", lambda event: heard.append(event.type))
    with caplog.at_level(logging.ERROR, "whence.record"):
        assert whence.log("priced") is not None
    assert heard == ["priced"]
    assert "a handler for 'priced' raised" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert whence.shutdown(60).complete
    assert [event.type for event in recorded(tmp_path / "archive")] == ["priced"]


# --- causes -----------------------------------------------------------------------------------------------------------------


def test_a_cause_that_does_not_exist_is_recorded_and_told(start: Start, tmp_path: Path) -> None:
    """It may be in an archive that is not here: emitting takes it, `why` shows the gap, `check` names it."""
    start()
    ref = whence.log("effect", caused_by="01HOMELESS")
    assert whence.shutdown(60).complete
    assert recorded(tmp_path / "archive")[0].caused_by == ("01HOMELESS",)
    assert "01HOMELESS" in whence_cli("why", ref, "-a", tmp_path / "archive", code=None).stdout
    checked = whence_cli("check", "-a", tmp_path / "archive", code=1)
    assert "names the cause 01HOMELESS, which is nowhere" in checked.stdout


def test_a_cycle_of_causes_is_told_and_nothing_hangs(start: Start, tmp_path: Path) -> None:
    """Ids chosen by the program can make events that caused each other: every question about them ends."""
    start()
    logger = get_logger("theirs")
    for id, cause in (("a", "c"), ("b", "a"), ("c", "b")):
        logger.emit(event_name=f"event.{id}", attributes={names.ID: id, names.CAUSED_BY: [cause]})
    assert whence.shutdown(60).complete
    for command in ("why", "effects"):
        said = whence_cli(command, "a", "-a", tmp_path / "archive")
        assert {"event.a", "event.b", "event.c"} <= set(said.stdout.split())
    checked = whence_cli("check", "-a", tmp_path / "archive", code=1)
    assert "cycle" in checked.stdout


# --- the wrong moment -------------------------------------------------------------------------------------------------------


def test_emitting_after_shutdown_is_counted_and_said_once(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No exception, no record, one line in the log, and the count in the status."""
    recorder = start()
    whence.log("in time")
    assert whence.shutdown(60).complete
    with caplog.at_level(logging.WARNING, "whence.record"):
        assert whence.log("late") is not None
        whence.log("late")
        with whence.batch():
            whence.log("late")
            whence.log("late")
        with trace.get_tracer("t").start_as_current_span("late"):
            pass
    assert recorder.status.dropped == {"after_shutdown": 5}
    assert caplog.text.count("has ended recording") == 1
    assert whence.flush(1)
    assert whence.shutdown(1).complete, "the report is of when it ended"
    assert [event.type for event in recorded(tmp_path / "archive")] == ["in time"]


def test_a_durable_event_after_shutdown_raises(start: Start) -> None:
    """Where emit promises the disk it cannot return."""
    start(durability="durable")
    whence.shutdown(10)
    with pytest.raises(whence.StorageError):
        whence.log("late")


def test_configuring_twice_ends_the_first_and_begins_the_second(start: Start, tmp_path: Path) -> None:
    """Each archive is whole and has what was emitted in its time."""
    start(archive=tmp_path / "one", run="first")
    whence.log("one")
    with trace.get_tracer("t").start_as_current_span("across"):
        start(archive=tmp_path / "two", run="second")
        whence.log("two")
    logging.getLogger("app").warning("not recorded: logging is off")
    assert whence.shutdown(60).complete
    first, second = recorded(tmp_path / "one", own=True), recorded(tmp_path / "two", own=True)
    assert [event.type for event in first] == [names.TYPE_RUN_STARTED, "one", names.TYPE_RUN_FINISHED]
    assert {event.run for event in first} == {"first"}
    assert {event.type for event in second} == {names.TYPE_RUN_STARTED, "two", "across", names.TYPE_RUN_FINISHED}
    assert {event.type: event.run for event in second} == {
        names.TYPE_RUN_STARTED: "second",
        "two": "second",
        "across": "first",  # where it began
        names.TYPE_RUN_FINISHED: "second",
    }
    is_sound(tmp_path / "one")
    is_sound(tmp_path / "two")


def test_emitting_before_configure_harms_nothing_and_is_said(tmp_path: Path) -> None:
    """Without configure and without providers every call works, records nothing, and one warning says why."""
    done = run("before_configure.py", cwd=tmp_path)
    assert done.stdout.split() == ["EventRef", "0"]
    assert done.stderr.count("whence.configure() was not called") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_program_with_providers_of_its_own_keeps_them(tmp_path: Path) -> None:
    """Ours are added to them: its exporters get everything, the archive too, each record naming its run."""
    done = run("own_providers.py", tmp_path / "archive")
    told = [line.split() for line in done.stdout.splitlines()]
    assert ["spans", "order"] in told
    assert {"paid", "stock.low", names.TYPE_RUN_STARTED} <= set(told[1])
    events = recorded(tmp_path / "archive", own=True)
    assert {event.run for event in events} == {"r7"}
    assert {"order", "paid", "stock.low"} <= {event.type for event in events}
    assert {event.resource["team"] for event in events} == {"blue"}
    assert {event.resource["service.name"] for event in events} == {"shop"}
    assert all((path.parent.name == "r7") for path in (tmp_path / "archive").rglob("*.jsonl"))
