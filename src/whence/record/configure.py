"""The process's one recorder: `configure` begins it, and exit, fork and signals find it here."""

import atexit
import logging
import multiprocessing.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from whence.errors import ConfigError
from whence.event import names
from whence.record.otel import get_logger_provider
from whence.record.recorder import Recorder, ShutdownReport
from whence.record.run import Run, run_in_context
from whence.record.settings import read_settings
from whence.version import VERSION

logger = logging.getLogger("whence.record")

_recorder: Recorder | None = None
_lock = threading.RLock()


def configure(**settings: Any) -> Recorder:
    """Begin recording into a local archive: one call, at the start of the program.

    Every setting is optional; docs/configuration.md lists them all. Those given here come before environment variables
    (`WHENCE_ARCHIVE`, ...), those before the YAML file (`config=` or `WHENCE_CONFIG`), those before the defaults.
    The program's global OpenTelemetry providers are made, or added to where it has some already. Recording ends by itself
    at interpreter exit. A second call ends the first recorder and begins another.

    Raises ConfigError for a wrong setting, StorageError where the archive cannot be opened.
    """
    global _recorder
    read = read_settings(settings, os.environ)
    if read.handle_sigterm and threading.current_thread() is not threading.main_thread():
        raise ConfigError("cannot handle SIGTERM from here: call configure(handle_sigterm=True) on the main thread")
    with _lock:
        if _recorder is not None:
            _recorder.shutdown()
        _recorder = None
        _recorder = Recorder(read)
        _watch_exit()
        if read.handle_sigterm:
            _turn_sigterm_into_exit()
        return _recorder


def recorder() -> Recorder | None:
    """The process's recorder, or None before `configure`."""
    return _recorder


def current_run() -> Run:
    """The run that module-level calls emit into: that of the enclosing `with run:`, else the recorder's.

    Before `configure` it is a run over the program's own OpenTelemetry providers, whatever they do with events.
    """
    found = run_in_context()
    if found is not None:
        return found
    return _recorder.run if _recorder is not None else _unconfigured()


def flush(timeout: float | None = None) -> bool:
    """Until everything emitted so far is on disk; False where that took longer than `timeout` seconds."""
    return _recorder.flush(timeout) if _recorder is not None else True


def shutdown(timeout: float | None = None) -> ShutdownReport:
    """End recording: write what is queued, seal the files; says what could not be written within `timeout` seconds."""
    return _recorder.shutdown(timeout) if _recorder is not None else ShutdownReport(stored=0)


_fallback: Run | None = None


def _unconfigured() -> Run:
    global _fallback
    with _lock:
        if _fallback is None:
            logger.warning(
                "whence.configure() was not called: events go to the program's own OpenTelemetry providers, if it has any"
            )
            run = os.environ.get("WHENCE_RUN", "")
            _fallback = Run(run, logger=get_logger_provider().get_logger("whence", VERSION), named_by_resource=not run)
        return _fallback


# --- the ends of a process ----------------------------------------------------------------------------------------------

_watching = False
_ending = "ok"
"""How the process comes to its end: `ok`, `failed` by an uncaught exception, or `stopped` by SIGTERM."""


def _watch_exit() -> None:
    """See to it, once a process, that exit writes what is queued, however the process came to its exit."""
    global _watching
    if multiprocessing.parent_process() is not None:
        # A worker of multiprocessing leaves by os._exit, past atexit; it does run these finalizers first.
        multiprocessing.util.Finalize(None, _at_exit, exitpriority=0)
    if _watching:
        return
    _watching = True
    atexit.register(_at_exit)
    os.register_at_fork(after_in_child=_after_fork)
    previous = sys.excepthook

    def hook(kind: type[BaseException], exception: BaseException, trace: TracebackType | None) -> None:
        global _ending
        _ending = "failed"
        if not issubclass(kind, KeyboardInterrupt):
            _record_uncaught(exception, "uncaught exception")
        previous(kind, exception, trace)

    previous_of_threads = threading.excepthook

    def hook_of_threads(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread is not None else "?"
            _record_uncaught(args.exc_value, f"uncaught exception, which ended the thread {name}")
        previous_of_threads(args)

    sys.excepthook = hook
    threading.excepthook = hook_of_threads
    metrics.get_meter("whence", VERSION).create_observable_counter(
        names.METRIC_DROPPED,
        [_observe_drops],
        unit="{record}",
        description="Records that are not in the archive, by reason.",
    )


def _record_uncaught(exception: BaseException, description: str) -> None:
    try:
        if _recorder is not None:
            _recorder.run.error(exception, description=description)
    except Exception as fault:  # noqa: BLE001 - the program's own exception is what its user must see
        logger.warning("whence could not record an uncaught exception: %s", fault)


def _at_exit() -> None:
    if _recorder is not None:
        _recorder.shutdown(status=_ending)


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    if _recorder is not None:
        _recorder.after_fork()
        # Once multiprocessing, if this is a child of it, has dropped the finalizers that its parent had.
        multiprocessing.util.register_after_fork(_recorder, _finalize_in_child)


def _finalize_in_child(child: Recorder) -> None:
    multiprocessing.util.Finalize(None, child.shutdown, exitpriority=0)


def _observe_drops(options: CallbackOptions) -> Iterable[Observation]:
    if _recorder is None:
        return
    for reason, count in _recorder.status.dropped.items():
        yield Observation(count, {"reason": reason})


def _turn_sigterm_into_exit() -> None:
    """SIGTERM becomes an orderly exit with code 143, unless the program handles the signal itself.

    Raising, rather than shutting down inside the handler: the signal may arrive while this very thread holds a lock.
    """
    found = signal.getsignal(signal.SIGTERM)
    if found is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit_orderly)
    elif found is not _exit_orderly:
        logger.warning("whence leaves SIGTERM alone: the program has a handler of its own")


def _exit_orderly(number: int, frame: FrameType | None) -> None:
    global _ending
    _ending = "stopped"
    raise SystemExit(128 + number)


# --- module-level calls: the current run's ----------------------------------------------------------------------------------


def on(pattern: str, handler: Callable[..., object]) -> Callable[[], None]:
    """Call `handler(event)` for each event emitted in this process whose type matches `pattern` (`task.*`); gives the way
    to stop it. Handlers run on the emitting thread; one that raises is logged, and disturbs nothing."""
    return current_run().on(pattern, handler)


def set_verbosity(verbosity: str, *, agent: str | None = None) -> None:
    """Change, while running, how much of the current run is recorded, or of one of its agents."""
    current_run().set_verbosity(verbosity, agent=agent)
