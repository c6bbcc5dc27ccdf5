"""A run: where an application emits its own events. Each becomes one OpenTelemetry log record with an event name."""

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final

from opentelemetry import context

from whence.errors import EventError, StorageError
from whence.event import names
from whence.event.kinds import ALWAYS, Kind, Severity, Verbosity
from whence.event.misfits import nearest
from whence.event.plain import to_plain
from whence.event.registry import model_for, types, validate
from whence.event.typed import TypedEvent
from whence.record.append import Appender, Draft
from whence.record.bus import Bus
from whence.record.causes import Causes, EventRef, ambient, ambient_correlation, causes_of, through
from whence.record.otel import Logger
from whence.record.queue import Queue

logger = logging.getLogger("whence.record")

_COMMON: Final = {
    "agent": names.AGENT,
    "turn": names.TURN,
    "task": names.TASK,
    "stage": names.STAGE,
    "status": names.STATUS,
    "correlation": names.CORRELATION,
}

_current: "ContextVar[Run | None]" = ContextVar("whence-run", default=None)


class Run:
    """One run of a program or simulation. Safe to use from any number of threads and tasks.

    As a context manager it is the run that `whence.emit` and the other module-level calls use inside.
    """

    def __init__(
        self,
        id: str,
        *,
        logger: Logger,
        verbosity: Verbosity = Verbosity.ACTION,
        by_agent: Mapping[str, Verbosity] | None = None,
        named_by_resource: bool = False,
        queue: Queue | None = None,
        durable: bool = False,
        bus: Bus | None = None,
        last_seq: int = 0,
        known_keys: Callable[[], Mapping[str, EventRef]] = dict,
    ) -> None:
        """`named_by_resource`: the provider's resource already says this run, so that its records need not."""
        self.id = id
        self.appender = Appender(
            id, logger, queue=queue, durable=durable, bus=bus or Bus(), last_seq=last_seq, known_keys=known_keys
        )
        self._names_itself = not named_by_resource
        self._verbosity = verbosity
        self._by_agent = dict(by_agent or {})
        self._loudest = max([verbosity, *self._by_agent.values()])
        self._tokens: list[Token[Run | None]] = []
        self._closed = False

    @property
    def last_seq(self) -> int:
        """The sequence number of the last event of this run that this process knows of; 0 before the first."""
        return self.appender.last_seq

    # --- verbosity ------------------------------------------------------------------------------------------------------

    @property
    def verbosity(self) -> Verbosity:
        return self._verbosity

    @property
    def loudest(self) -> Verbosity:
        """The highest verbosity of the run and of any of its agents: what is above it is suppressed for everybody."""
        return self._loudest

    def set_verbosity(self, verbosity: Verbosity | str, *, agent: str | None = None) -> None:
        """Change, while running, how much is recorded: of the whole run, or of one agent."""
        level = verbosity_named(verbosity)
        if agent is None:
            self._verbosity = level
        else:
            self._by_agent = {**self._by_agent, agent: level}
        self._loudest = max([self._verbosity, *self._by_agent.values()])

    def passes(self, kind: Kind, agent: str | None = None, severity: int | None = None) -> bool:
        """Whether an event of this kind, agent and severity would be recorded now. Costs a fraction of a microsecond."""
        needed = kind.needs
        if needed <= self._loudest and (
            not self._by_agent or needed <= (self._by_agent.get(agent, self._verbosity) if agent else self._verbosity)
        ):
            return True
        return severity is not None and severity >= ALWAYS

    def silences(self, event: TypedEvent | type[TypedEvent]) -> bool:
        """Whether any event of this model is suppressed, whatever its agent and severity: the cheapest question."""
        return event.least_verbosity > self._loudest

    # --- emitting -------------------------------------------------------------------------------------------------------

    def emit(
        self,
        event: TypedEvent | type[TypedEvent],
        fields: Callable[[], Mapping[str, Any]] | Mapping[str, Any] | None = None,
        /,
        *,
        caused_by: Causes = None,
        agent: str | None = None,
        source: str | None = None,
        idempotency_key: str | None = None,
        expected_seq: int | None = None,
        audit: bool = False,
    ) -> EventRef | None:
        """Record a typed event; gives a reference to name it as a cause.

        Where verbosity suppresses the event, that is a reference to what caused it, or None where nothing did: given as a
        cause later, it keeps the chain whole.

        `emit(Model(...))`, or `emit(Model, lambda: {...}, agent="a7")`, whose fields are built only if it is recorded.
        `caused_by`: what an earlier emit returned, an event, an event id, a span, a span context, or a list of these;
        without it the ambient causes of `because` count. `agent` decides per-agent verbosity before the model is built.
        `idempotency_key`: the same key again in this run records nothing and gives the first reference.
        `expected_seq`: the `last_seq` this append is based on. `audit`: synced to disk at once.

        Raises EventError for fields that do not fit, ConflictError where `expected_seq` is not the last one, and, with
        `durability="durable"` only, StorageError where the event did not reach the disk.
        """
        if self.silences(event):
            return through(caused_by)
        if isinstance(event, type):
            if self._by_agent and not self.passes(event.kind, agent, event.severity):
                return through(caused_by)
            given = dict(fields() if callable(fields) else fields or {})
            if agent is not None:
                given.setdefault("agent", agent)
            event = event.build(given)
        undecided = self._by_agent or not event.least_verbosity  # a severity may depend on the event's fields
        if undecided and not self.passes(event.kind, agent or event.agent, event.severity):
            return through(caused_by)
        common, payload = event.split()
        if agent is not None:
            common["agent"] = agent
        return self._append(
            event.type,
            event.kind,
            common,
            payload,
            severity=event.severity,
            description=event.describe(),
            schema=event.schema_id,
            source=source,
            caused_by=caused_by,
            idempotency_key=idempotency_key,
            expected_seq=expected_seq,
            audit=audit,
        )

    def log(
        self,
        type: str,
        payload: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
        *,
        kind: Kind | str | None = None,
        severity: Severity | None = None,
        description: str | None = None,
        source: str | None = None,
        correlation_id: str | None = None,
        agent: str | None = None,
        turn: int | None = None,
        task: str | None = None,
        stage: str | None = None,
        status: str | None = None,
        caused_by: Causes = None,
        validated: bool = False,
        idempotency_key: str | None = None,
        expected_seq: int | None = None,
        audit: bool = False,
    ) -> EventRef | None:
        """Record an event by its type and payload alone, with no model; otherwise as `emit`.

        `kind` is ACTION where none is given. `payload` may be a callable, called only if the event is recorded.
        `validated`: the event is checked against the model registered for this type, takes kind and severity from it, and
        raises EventError naming each field that does not fit.
        """
        model = registered(type) if validated else None
        level = kind_named(kind) if kind is not None else model.kind if model else Kind.ACTION
        if severity is None and model is not None:
            severity = model.severity
        if not self.passes(level, agent, severity):
            return through(caused_by)
        built = dict(payload() if callable(payload) else payload or {})
        given = {
            "agent": agent,
            "turn": turn,
            "task": task,
            "stage": stage,
            "status": status,
            "correlation": correlation_id,
        }
        common = {name: to_plain(value) for name, value in given.items() if value is not None}
        schema = None
        if model is not None:
            event = validate(type, {**common, **built})
            common, built = event.split()
            schema, severity = event.schema_id, event.severity
        else:
            built = to_plain(built)
        return self._append(
            type,
            level,
            common,
            built,
            severity=severity,
            description=description,
            schema=schema,
            source=source,
            caused_by=caused_by,
            idempotency_key=idempotency_key,
            expected_seq=expected_seq,
            audit=audit,
        )

    def error(
        self,
        exception: BaseException,
        payload: Mapping[str, Any] | None = None,
        *,
        description: str | None = None,
        source: str | None = None,
        correlation_id: str | None = None,
        agent: str | None = None,
        caused_by: Causes = None,
    ) -> EventRef:
        """Record an exception with its stack, as an `exception` event of severity ERROR; verbosity never suppresses it."""
        kind = type(exception)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        try:
            message = str(exception)
        except Exception as fault:  # noqa: BLE001 - an exception that cannot be printed is still an exception
            message = f"(its message cannot be read: {fault!r})"
        return self._append(
            names.TYPE_EXCEPTION,
            Kind.SYSTEM,
            {"agent": agent, "correlation": correlation_id},
            to_plain(dict(payload or {})),
            severity=Severity.ERROR,
            description=description or f"{name}: {message}",
            source=source,
            caused_by=caused_by,
            extra={
                names.EXCEPTION_TYPE: name,
                names.EXCEPTION_MESSAGE: message,
                names.EXCEPTION_STACKTRACE: "".join(traceback.format_exception(exception)),
            },
        )

    def _append(
        self,
        type: str,
        kind: Kind,
        common: Mapping[str, Any],
        payload: Mapping[str, Any],
        *,
        severity: Severity | None = None,
        description: str | None = None,
        schema: str | None = None,
        source: str | None = None,
        caused_by: Causes = None,
        idempotency_key: str | None = None,
        expected_seq: int | None = None,
        audit: bool = False,
        extra: Mapping[str, Any] | None = None,
        waits: bool = True,
    ) -> EventRef:
        """`waits`: with `durable`, until it is on disk."""
        ctx = context.get_current()
        if caused_by is not None:
            causes = causes_of(caused_by)
        else:
            found = ambient(ctx)
            causes = found.causes if found else ()
        attributes: dict[str, Any] = {names.KIND: kind.value}
        for field, value in common.items():
            if value is not None:
                attributes[_COMMON[field]] = value
        if names.CORRELATION not in attributes:
            correlation_id = ambient_correlation(ctx)
            if correlation_id is not None:
                attributes[names.CORRELATION] = correlation_id
        if self._names_itself:
            attributes[names.RUN] = self.id
        if schema is not None:
            attributes[names.SCHEMA] = schema
        if source is not None:
            attributes[names.SOURCE] = source
        if causes:
            attributes[names.CAUSED_BY] = [cause.id for cause in causes]
        if payload:
            attributes[names.PAYLOAD] = payload
        if idempotency_key is not None:
            attributes[names.IDEMPOTENCY_KEY] = idempotency_key
        if audit:
            attributes[names.AUDIT] = True
        if extra:
            attributes.update(extra)
        return self.appender.append(
            Draft(
                type,
                kind,
                common,
                payload,
                causes,
                ctx,
                severity,
                description,
                attributes,
                idempotency_key,
                expected_seq,
            ),
            waits=waits,
        )

    @contextmanager
    def batch(self, *, expected_seq: int | None = None) -> Iterator[None]:
        """Events emitted inside are recorded all together or not at all: one line of the archive holds them.

        An exception that leaves the block discards them, and is raised. Where the queue is full a batch is dropped whole.
        Raises ConflictError at the end of the block where `expected_seq` is not the last one.
        """
        with self.appender.batch(expected_seq):
            yield

    def on(self, pattern: str, handler: Callable[..., object]) -> Callable[[], None]:
        """Call `handler(event)` for each event emitted in this process whose type matches; gives the way to stop it."""
        return self.appender.bus.on(pattern, handler)

    # --- its beginning and end --------------------------------------------------------------------------------------------

    # They wait for no disk: one in trouble must keep a program neither from beginning nor from ending.

    def start(self, payload: Mapping[str, Any]) -> EventRef:
        """Record that the run began in this process."""
        return self._append(names.TYPE_RUN_STARTED, Kind.MILESTONE, {}, to_plain(payload), waits=False)

    def close(self, status: str = "ok", payload: Mapping[str, Any] | None = None) -> None:
        """Record that the run is over in this process, with how it ended. The second call does nothing."""
        if not self._closed:
            self._closed = True
            told = to_plain({"events": self.last_seq, **(payload or {})})
            self._append(names.TYPE_RUN_FINISHED, Kind.MILESTONE, {"status": status}, told, waits=False)

    def __enter__(self) -> "Run":
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, kind: object, exception: BaseException | None, trace: object) -> None:
        _current.reset(self._tokens.pop())
        if exception is not None:
            try:
                self.error(exception)
            except StorageError as trouble:
                logger.warning("whence could not record how run %r failed: %s", self.id, trouble)
        self.close("failed" if exception is not None else "ok")


run_in_context: Final[Callable[[], Run | None]] = _current.get
"""The run whose `with` block this is, if any."""


def registered(event_type: str) -> type[TypedEvent]:
    """The model registered for an event type. Raises EventError where there is none."""
    model = model_for(event_type)
    if model is None:
        raise EventError(
            f"cannot validate {event_type!r}: no model is registered for this type{nearest(event_type, types())}"
        )
    return model


_KINDS: Final[dict[str, Kind]] = {kind.value: kind for kind in Kind}


def kind_named(kind: Kind | str) -> Kind:
    """The kind of that name. Raises EventError for any other name, listing those there are."""
    if isinstance(kind, Kind):
        return kind
    found = _KINDS.get(str(kind).lower())
    if found is None:
        raise EventError(f"cannot log an event of kind {kind!r}: expected one of {', '.join(Kind)}")
    return found


def verbosity_named(verbosity: Verbosity | str) -> Verbosity:
    """The verbosity of that name. Raises EventError for any other name, listing those there are."""
    if isinstance(verbosity, Verbosity):
        return verbosity
    try:
        return Verbosity[verbosity.upper()]
    except (KeyError, AttributeError):
        choices = ", ".join(level.name.lower() for level in Verbosity)
        raise EventError(f"cannot set verbosity to {verbosity!r}: expected one of {choices}") from None
