"""Being inside of something: a turn, an agent's action, a call. What is recorded inside is caused by it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Any, Protocol, Self

from whence.event.typed import TypedEvent
from whence.event.vocabularies.simulation import System
from whence.event.vocabularies.workflow import ProviderResponded
from whence.record.causes import EventRef, because
from whence.record.run import Run

_current: "ContextVar[Scope | None]" = ContextVar("whence-scope", default=None)


class Teller(Protocol):
    """What a scope needs of its story."""

    @property
    def run(self) -> Run: ...

    def look(self, *, everyone: bool = False) -> None: ...

    def tell(self, model: type[TypedEvent], fields: Callable[[], dict[str, Any]], *, agent: Any = None) -> "Scope": ...


class Scope:
    """An event that was told. As a context manager it is the cause of everything recorded inside.

    `event`: its reference. Where verbosity suppressed it, what is inside has its causes instead.
    `agent`: the name of whose doing everything inside is.
    """

    __slots__ = ("_because", "_ends", "_token", "agent", "decided", "event", "owner", "story")

    def __init__(
        self, story: Teller, event: EventRef | None, agent: str | None, ends: Callable[[bool], object] | None = None
    ) -> None:
        """`ends(failed)` is called once: when the `with` block is left, or by `end`."""
        self.story = story
        self.event = event
        self.agent = agent
        self.owner: object | None = None
        """The object that is acting, where the agent is one."""
        self.decided: dict[tuple[str | None, str], EventRef] = {}
        """Decisions told directly inside, by whose and on what."""
        self._ends = ends
        self._because: AbstractContextManager[None] | None = None
        self._token: Token[Scope | None] | None = None

    def __enter__(self) -> Self:
        if self.event is not None:
            self._because = because(self.event)
            self._because.__enter__()
        self._token = _current.set(self)
        return self

    def __exit__(self, kind: object, exception: BaseException | None, trace: object) -> None:
        try:
            self.story.look()
            if isinstance(exception, Exception) and getattr(exception, "whence_event", None) is None:
                mark(exception, self.failed(exception))
            self.end(failed=exception is not None)
        finally:
            if self._token is not None:
                _current.reset(self._token)
            if self._because is not None:
                self._because.__exit__(None, None, None)

    def end(self, *, failed: bool = False) -> None:
        """Tell that it is over, where that is an event of its own (a turn, a simulation). The second call does nothing."""
        ends, self._ends = self._ends, None
        if ends is not None:
            ends(failed)

    def failed(self, exception: Exception) -> EventRef | None:
        """Record the exception that ended this, as caused by it."""
        return self.story.run.error(exception, agent=self.agent)


class LlmCall(Scope):
    """One attempt to ask a language model."""

    __slots__ = ("_began", "_model", "_on_failure", "_provider", "_retries")

    def __init__(
        self,
        story: Teller,
        event: EventRef | None,
        agent: str | None,
        *,
        asked: tuple[str, str],
        retries: int,
        on_failure: Callable[[EventRef | None], None],
    ) -> None:
        """`asked`: provider and model. `retries`: failures before this attempt."""
        super().__init__(story, event, agent)
        self._provider, self._model = asked
        self._retries = retries
        self._on_failure = on_failure
        self._began = time.monotonic_ns()

    def responded(self, output: str = "", *, tokens: int | None = None) -> Scope:
        """Tell that the answer came: how long it is and, where known, how many tokens it took."""
        took = (time.monotonic_ns() - self._began) / 1e6
        return self.story.tell(
            ProviderResponded,
            lambda: {
                "provider": self._provider,
                "model": self._model,
                "output_length": len(output),
                "tokens": tokens,
                "duration_ms": took,
            },
            agent=self.agent,
        )

    def failed(self, exception: Exception) -> EventRef | None:
        """Tell the failure as a system event, which the next attempt has as its cause."""
        told = self.story.tell(
            System,
            lambda: {
                "error_type": type(exception).__name__,
                "status": "failed",
                "retry_count": self._retries,
                "description": f"{self._provider} {self._model}: {type(exception).__name__}: {exception}",
            },
            agent=self.agent,
        )
        self._on_failure(told.event)
        return told.event


def current_scope(story: object) -> Scope | None:
    """The innermost scope of this story, in this thread or task."""
    found = _current.get()
    return found if found is not None and found.story is story else None


def mark(exception: Exception, event: EventRef | None) -> None:
    """Note on an exception which event told of it, so that it is told once however far it travels."""
    try:
        exception.whence_event = event  # type: ignore[attr-defined]
    except AttributeError:
        pass  # an exception class with slots: told again by the next scope that it leaves
