"""What became of a run, from its events alone."""

from itertools import permutations

from whence.event.model import Event
from whence.index.histories import RunHistory, histories, still_open, unended_spans

TRACE = "0af7651916cd43dd8448eb211c80319c"


FIELDS = ("task", "stage", "turn", "trace_id", "span_id")


def an_event(type: str, time: int = 1, pid: int | None = None, **given: object) -> Event:
    """An event of run `r`; what is no field of events goes into its payload."""
    payload = {key: value for key, value in given.items() if key not in FIELDS} | ({} if pid is None else {"pid": pid})
    fields = {key: value for key, value in given.items() if key in FIELDS}
    return Event(id=f"{type}@{time}", type=type, time=time, run="r", payload=payload, **fields)  # type: ignore[arg-type]


def the_run(*events: Event) -> RunHistory:
    """The one run of these events."""
    (history,) = histories(events).values()
    return history


def test_a_run_that_finished_is_finished_whatever_the_order_of_files() -> None:
    """Events come file by file, not in time."""
    events = (an_event("whence.run.started", 1, 7), an_event("x", 2), an_event("whence.run.finished", 3, 7))
    for order in permutations(events):
        assert the_run(*order).state(live=False) == "finished"


def test_a_run_is_crashed_when_any_of_its_processes_never_finished() -> None:
    """The parent's end does not speak for a worker that was killed."""
    history = the_run(
        an_event("whence.run.started", 1, 7),
        an_event("whence.run.started", 2, 8),
        an_event("whence.run.finished", 3, 7),
    )
    assert history.state(live=False) == "crashed"
    assert history.state(live=True) == "running"


def test_a_run_begun_again_in_the_same_process_is_open_again() -> None:
    """A later beginning outdates an earlier end."""
    history = the_run(
        an_event("whence.run.started", 1, 7),
        an_event("whence.run.finished", 2, 7),
        an_event("whence.run.started", 3, 7),
    )
    assert history.state(live=False) == "crashed"


def test_a_run_that_never_said_it_began_is_unknown() -> None:
    """Records of other programs say nothing of runs."""
    assert the_run(an_event("x")).state(live=False) == "unknown"


def test_what_began_and_did_not_end_is_open() -> None:
    """By task, stage, agent and turn; spellings of different vocabularies alike."""
    events = [
        an_event("turn_start", 1, turn=1),
        an_event("turn_end", 2, turn=1),
        an_event("turn_start", 3, turn=2),
        an_event("task.started", 4, task="a"),
        an_event("task.started", 5, task="b"),
        an_event("task.failed", 6, task="a"),
        an_event("job.stage.started", 7, stage="build"),
        an_event("job.stage.completed", 8, stage="build"),
        an_event("task.scheduled", 9, task="c"),
    ]
    assert [event.id for event in still_open(events)] == ["turn_start@3", "task.started@5"]


def test_what_the_payload_calls_a_thing_tells_it_from_others() -> None:
    """Two jobs, two gates, a provider that never answered."""
    events = [
        an_event("job.started", 1, job="a"),
        an_event("job.started", 2, job="b"),
        an_event("job.completed", 3, job="a"),
        an_event("job.gate.paused", 4, job="b", gate="ship"),
        an_event("job.gate.auto_approved", 5, job="b", gate="ship"),
        an_event("provider.called", 6, provider="p"),
        an_event("processing.document.started", 7, document="d"),
        an_event("processing.extraction.completed", 8, document="d"),
    ]
    assert [event.id for event in still_open(events)] == ["job.started@2", "provider.called@6"]


def test_an_end_without_a_beginning_closes_nothing_else() -> None:
    """What was recorded badly does not hide what is open."""
    events = [
        an_event("task.started", 1, task="a"),
        an_event("task.completed", 2, task="z"),
        an_event("stage.failed", 3),
    ]
    assert [event.id for event in still_open(events)] == ["task.started@1"]


def test_a_span_cut_off_is_known_by_what_happened_in_it() -> None:
    """It was never handed over, yet events name it."""
    ended = Event(id=f"span:{TRACE}-{'a' * 16}", type="s", time=1, signal="span", trace_id=TRACE, span_id="a" * 16)
    inside = [an_event("x", n, trace_id=TRACE, span_id="ab"[n % 2] * 16) for n in range(4)]
    assert list(unended_spans([*inside, ended])) == [(f"span:{TRACE}-{'b' * 16}", 2)]
