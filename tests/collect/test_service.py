"""Pipelines in a running service: order, fan-out, connectors, counting, and what is stopped and kept when it changes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_collect import LIVES, LOGS_ONLY, Keep, Source, a_config, some_logs
from waiting import until
from whence.collect.batch import Receipt
from whence.collect.component import Health
from whence.collect.outcome import Refused, Unacceptable
from whence.collect.service import Service, Surroundings
from whence.collect.telemetry import Telemetry
from whence.errors import StorageError, WhenceError


class Collector:
    """A service and its surroundings."""

    def __init__(self, directory: Path) -> None:
        self.telemetry = Telemetry()
        self.service = Service(Surroundings(self.telemetry, directory))
        LIVES.clear()

    def start(self, *texts: str) -> None:
        self.service.start(a_config(*texts))

    def reload(self, *texts: str, timeout: float = 30.0) -> str:
        return self.service.reload(a_config(*texts), timeout)

    def source(self, id_: str = "source") -> Source:
        found = self.service.component("receiver", id_)
        assert isinstance(found, Source)
        return found

    def keep(self, id_: str = "keep") -> Keep:
        found = self.service.component("exporter", id_)
        assert isinstance(found, Keep)
        return found

    def counts(self) -> dict[str, float]:
        return {
            f"{family.name}{dict(sample.labels).get('processor', '')}": sample.value
            for family in self.telemetry.families()
            for sample in family.samples
        }


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    yield made
    made.service.stop(5.0)


def test_a_batch_goes_through_the_processors_in_order(collector: Collector) -> None:
    """The order under `processors` is the order of work, and the batch that came in stays as it was."""
    collector.start(
        LOGS_ONLY,
        "processors: {mark/a: {mark: a}, through: , mark/b: {mark: b}}\n"
        "service::pipelines::logs::processors: [mark/b, through, mark/a]",
    )
    batch = some_logs("one", "two")
    assert collector.source().send(batch) == Receipt()
    assert (collector.keep().kept[0].tree or {})["marks"] == ("b", "a")
    assert "marks" not in (batch.tree or {})
    counts = collector.counts()
    assert counts["otelcol_receiver_accepted_log_records"] == 2
    for processor in ("mark/a", "through", "mark/b"):
        assert counts["otelcol_processor_incoming_items" + processor] == 2
        assert counts["otelcol_processor_outgoing_items" + processor] == 2


def test_dropped_on_purpose_is_taken(collector: Collector) -> None:
    """A processor that gives None has dropped all: the sender is done, and the counts tell."""
    collector.start(LOGS_ONLY, "processors: {mark: {drop: true}}\nservice::pipelines::logs::processors: [mark]")
    assert collector.source().send(some_logs("one")) == Receipt()
    assert collector.keep().kept == []
    assert collector.counts()["otelcol_processor_incoming_itemsmark"] == 1
    assert "otelcol_processor_outgoing_itemsmark" not in collector.counts()


TWO = "exporters: {keep/2: }\nservice::pipelines::logs::exporters: [keep, keep/2]"


def test_everybody_gets_the_batch_whatever_becomes_of_it_with_the_others(collector: Collector) -> None:
    """One that refuses makes the sender try again, after the others got it: at least once."""
    collector.start(LOGS_ONLY, TWO)
    collector.keep().failure = Refused("full", 3.0)
    with pytest.raises(Refused) as refused:
        collector.source().send(some_logs("one"))
    assert refused.value.retry_after == 3.0
    assert len(collector.keep("keep/2").kept) == 1
    assert collector.counts()["otelcol_receiver_refused_log_records"] == 1


@pytest.mark.parametrize(
    ("failures", "wanted"),
    [
        ((Refused("later"), Unacceptable("never")), Refused),
        ((Unacceptable("never"), Refused("later")), Refused),
        ((Unacceptable("never"), ValueError("ours")), Refused),
        ((Unacceptable("never"), None), Unacceptable),
    ],
)
def test_the_sender_hears_the_failure_it_can_do_something_about(
    collector: Collector, failures: tuple[Exception | None, ...], wanted: type[Exception]
) -> None:
    """Refused before unacceptable; trouble of our own is refused, never the sender's fault."""
    collector.start(LOGS_ONLY, TWO)
    collector.keep().failure, collector.keep("keep/2").failure = failures
    with pytest.raises(wanted):
        collector.source().send(some_logs("one"))


def test_partial_success_is_passed_on_and_counted(collector: Collector) -> None:
    """What an exporter rejects for good is told to the sender with its reason."""
    collector.start(LOGS_ONLY, TWO)
    collector.keep("keep/2").receipt = Receipt(1, "an id is too short")
    assert collector.source().send(some_logs("one", "two", "three")) == Receipt(1, "an id is too short")
    counts = collector.counts()
    assert (counts["otelcol_receiver_accepted_log_records"], counts["otelcol_receiver_refused_log_records"]) == (2, 1)


def test_a_connector_ends_one_pipeline_and_begins_others(collector: Collector) -> None:
    """The receipt comes from the far end of both."""
    collector.start(
        "receivers: {source: }\nexporters: {keep/a: , keep/b: }\nconnectors: {join: }\nprocessors: {mark: }\n"
        "service::pipelines:\n"
        "  logs: {receivers: [source], exporters: [join]}\n"
        "  logs/a: {receivers: [join], exporters: [keep/a]}\n"
        "  logs/b: {receivers: [join], processors: [mark], exporters: [keep/b]}\n"
    )
    collector.source().send(some_logs("one"))
    assert len(collector.keep("keep/a").kept) == len(collector.keep("keep/b").kept) == 1
    collector.keep("keep/b").failure = Refused("full")
    with pytest.raises(Refused):
        collector.source().send(some_logs("two"))


def test_exporters_start_first_and_stop_last(collector: Collector) -> None:
    """Nobody is sent to before it runs, or after it has stopped; what is unused does neither."""
    collector.start(
        LOGS_ONLY,
        "processors: {through: , mark: }\nextensions: {plain: }\nexporters: {keep/unused: }\n"
        "service: {extensions: [plain], pipelines: {logs: {processors: [through]}}}",
    )
    assert [id_ for id_, what in LIVES if what == "started"] == ["plain", "keep", "through", "source"]
    assert collector.service.stop(5.0) == []
    assert [id_ for id_, what in LIVES if what == "stopped"] == ["source", "through", "keep", "plain"]


def test_a_start_that_fails_leaves_nothing_running(collector: Collector) -> None:
    """What had started is stopped, and the error names the component."""
    with pytest.raises(StorageError, match="cannot start the receiver source: Address already in use"):
        collector.start(LOGS_ONLY, "receivers::source::fail_start: true")
    assert ("keep", "stopped") in LIVES
    assert collector.service.health() == {"collector": Health(False, "it is starting")}


def test_stopping_says_what_is_left(collector: Collector) -> None:
    """A request that is still inside when time is over is named; its sender has no answer and keeps it."""
    collector.start(LOGS_ONLY)
    collector.keep().gate.clear()
    sender = threading.Thread(target=collector.source().send, args=(some_logs("one"),))
    sender.start()
    assert collector.keep().entered.acquire(timeout=90)
    keep = collector.keep()
    assert collector.service.stop(0.5) == ["1 requests were not answered; their senders keep them"]
    keep.gate.set()
    sender.join(90)


def test_a_stop_waits_for_requests_whose_receiver_does_not(collector: Collector) -> None:
    """What is inside gets through, and the exporter is there until it has."""
    collector.start(LOGS_ONLY)
    keep = collector.keep()
    keep.gate.clear()
    receipts: list[Receipt] = []
    sender = threading.Thread(
        target=lambda source: receipts.append(source.send(some_logs("one"))), args=(collector.source(),)
    )
    sender.start()
    assert keep.entered.acquire(timeout=90)
    left: list[list[str]] = []
    stopping = threading.Thread(target=lambda: left.append(collector.service.stop(60)))
    stopping.start()
    until(lambda: ("source", "stopped") in LIVES)
    assert ("keep", "stopped") not in LIVES
    keep.gate.set()
    sender.join(90)
    stopping.join(60)
    assert (receipts, left) == ([Receipt()], [[]])
    assert ("keep", "stopped") in LIVES


def test_health_is_everybodys(collector: Collector) -> None:
    """Who is not well says why, and who cannot answer is not well."""
    assert not collector.service.health()["collector"].ok
    collector.start(LOGS_ONLY)
    assert collector.service.health() == {"receiver source": Health(), "exporter keep": Health()}
    collector.keep().sick = "the disk is full"
    assert collector.service.health()["exporter keep"] == Health(False, "the disk is full")
    collector.keep().__dict__["health"] = None
    assert not collector.service.health()["exporter keep"].ok


# --- reloading ------------------------------------------------------------------------------------------------------------


def test_only_what_changed_is_restarted(collector: Collector) -> None:
    """The receiver and the processor stay the objects they were; the exporter is a new one, and gets what is sent now."""
    base = "processors: {through: }\nservice::pipelines::logs::processors: [through]"
    collector.start(LOGS_ONLY, base, "exporters::keep::sending_queue::enabled: false")
    source, keep = collector.source(), collector.keep()
    LIVES.clear()
    changed = "exporters: {keep: {label: new, sending_queue: {enabled: false}}}"
    said = collector.reload(LOGS_ONLY, base, changed)
    assert said == "restarted exporter keep; 2 untouched"
    assert LIVES == [("keep", "built"), ("keep", "stopped"), ("keep", "started")]
    assert collector.source() is source and collector.keep() is not keep
    source.send(some_logs("one"))
    assert keep.kept == [] and len(collector.keep().kept) == 1


def test_pipelines_change_without_restarting_anything(collector: Collector) -> None:
    """Another order of processors and another exporter are links, not restarts."""
    parts = "processors: {mark/a: {mark: a}, mark/b: {mark: b}}\nexporters: {keep/2: }\n"
    collector.start(LOGS_ONLY, parts + "service::pipelines::logs::processors: [mark/a, mark/b]")
    LIVES.clear()
    after = "service::pipelines::logs: {processors: [mark/b, mark/a], exporters: [keep, keep/2]}"
    assert collector.reload(LOGS_ONLY, parts + after) == "started exporter keep/2; 4 untouched"
    collector.source().send(some_logs("one"))
    assert (collector.keep("keep/2").kept[0].tree or {})["marks"] == ("b", "a")


def test_a_receiver_with_a_new_signal_is_made_anew(collector: Collector) -> None:
    """It must know all the signals it hands on."""
    collector.start(LOGS_ONLY)
    said = collector.reload(LOGS_ONLY, "service::pipelines::traces: {receivers: [source], exporters: [keep]}")
    assert said == "restarted receiver source; 1 untouched"
    assert set(collector.source().outputs) == {"logs", "traces"}


def test_a_request_in_flight_is_answered_before_anything_changes(collector: Collector) -> None:
    """The reload waits for it, and a request that comes meanwhile waits for the reload: both arrive."""
    collector.start(LOGS_ONLY, "exporters::keep::sending_queue::enabled: false")
    source, old = collector.source(), collector.keep()
    old.gate.clear()
    outcomes: list[Any] = []
    first = threading.Thread(target=lambda: outcomes.append(source.send(some_logs("first"))))
    first.start()
    assert old.entered.acquire(timeout=90)
    done: list[str] = []
    change = "exporters: {keep: {label: new, sending_queue: {enabled: false}}}"
    reloading = threading.Thread(target=lambda: done.append(collector.reload(LOGS_ONLY, change)))
    reloading.start()
    until(lambda: collector.service._gate._closed)
    second = threading.Thread(target=lambda: outcomes.append(source.send(some_logs("second"))))
    second.start()
    assert ("keep", "stopped") not in LIVES
    old.gate.set()
    for thread in (first, reloading, second):
        thread.join(90)
    assert outcomes == [Receipt(), Receipt()]
    assert [len(old.kept), len(collector.keep().kept)] == [1, 1]


def test_a_receiver_that_changes_lets_its_requests_through_first(collector: Collector) -> None:
    """It is stopped while the way behind it is open, so that it does not wait for requests that wait for it."""
    collector.start(LOGS_ONLY)
    source, keep = collector.source(), collector.keep()
    states: list[bool] = []
    stop = source.stop
    source.stop = lambda deadline: (states.append(collector.service._gate._closed), stop(deadline))[1]  # type: ignore[method-assign]
    assert collector.reload(LOGS_ONLY, "receivers::source::number: 5") == "restarted receiver source; 1 untouched"
    assert states == [False]
    assert collector.keep() is keep


def test_a_reload_that_would_have_to_cut_a_request_is_refused(collector: Collector) -> None:
    """With a request that does not get through, everything stays as it is."""
    collector.start(LOGS_ONLY)
    keep = collector.keep()
    keep.gate.clear()
    sender = threading.Thread(target=collector.source().send, args=(some_logs("one"),))
    sender.start()
    assert keep.entered.acquire(timeout=90)
    with pytest.raises(StorageError, match="1 requests were not through"):
        collector.reload(LOGS_ONLY, "exporters::keep::label: new", timeout=0.2)
    assert collector.keep() is keep
    keep.gate.set()
    sender.join(90)
    collector.source().send(some_logs("two"))
    assert len(keep.kept) == 2


@pytest.mark.parametrize(
    "fault",
    [
        "receivers::source::fail_start: true",
        "extensions: {bearertokenauth: {filename: /nowhere}}\nservice::extensions: [bearertokenauth]",
    ],
)
def test_what_cannot_start_leaves_the_old_configuration_running(collector: Collector, fault: str) -> None:
    """The old components take batches again, those that had to be stopped for it made anew."""
    collector.start(LOGS_ONLY, "exporters::keep::sending_queue::enabled: false")
    change = f"{fault}\nexporters::keep: {{label: new, sending_queue: {{enabled: false}}}}"
    with pytest.raises(WhenceError):
        collector.reload(LOGS_ONLY, change)
    collector.source().send(some_logs("one"))
    assert len(collector.keep().kept) == 1
    assert collector.keep().settings.label == ""
    assert all(health.ok for health in collector.service.health().values())


def test_a_replaced_exporter_drains_its_memory_beside_its_successor(collector: Collector) -> None:
    """A queue in memory is not lost: its exporter is stopped only when the new one runs, and on its own time."""
    collector.start(LOGS_ONLY)
    LIVES.clear()
    collector.reload(LOGS_ONLY, "exporters::keep::label: new")
    until(lambda: ("keep", "stopped") in LIVES)
    assert LIVES.index(("keep", "started")) < LIVES.index(("keep", "stopped"))


def test_who_uses_a_changed_extension_is_restarted_with_it(collector: Collector) -> None:
    """An exporter holds on to its authenticator: both change together."""
    auth = "extensions: {plain: }\nservice::extensions: [plain]\nexporters: {keep: {auth: {authenticator: plain}}, keep/2: }\n"
    auth += "service::pipelines::logs::exporters: [keep, keep/2]\n"
    collector.start(LOGS_ONLY, auth)
    assert "1 untouched" not in collector.reload(LOGS_ONLY, auth)
    other = auth.replace("{plain: }", "{plain: , plain/2: }").replace("[plain]", "[plain/2]")
    said = collector.reload(LOGS_ONLY, other.replace("authenticator: plain", "authenticator: plain/2"))
    assert said == "restarted exporter keep; started extension plain/2; stopped extension plain; 2 untouched"


def test_requests_without_pause_through_many_reloads_are_each_kept_once(collector: Collector) -> None:
    """Eight senders, twenty changes: every batch that was acknowledged is in exactly one exporter."""
    off = "sending_queue: {enabled: false}"
    collector.start(LOGS_ONLY, f"exporters::keep: {{label: start, {off}}}")
    source = collector.source()
    over = threading.Event()
    sent: list[str] = []
    kept: list[Keep] = [collector.keep()]

    def send(who: int) -> None:
        number = 0
        while not over.is_set():
            source.send(some_logs(f"{who}-{number}"))
            sent.append(f"{who}-{number}")
            number += 1

    senders = [threading.Thread(target=send, args=(who,)) for who in range(8)]
    for sender in senders:
        sender.start()
    for n in range(20):
        collector.reload(LOGS_ONLY, f"exporters::keep: {{label: l{n}, {off}}}")
        kept.append(collector.keep())
    over.set()
    for sender in senders:
        sender.join(90)
    arrived = [
        batch.tree["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"]["stringValue"]
        for one in kept
        for batch in one.kept
        if batch.tree
    ]
    assert sorted(arrived) == sorted(sent)
    assert len(sent) > 20
