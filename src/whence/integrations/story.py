"""Telling a simulation, a game or an agents' orchestration as it goes: causes, turns and agents come by themselves.

    story = Story()
    with story.turn(5), story.agent("a7"):
        story.decision("price", 10, 12, looked_at=[("b3", "price")])
        with story.action("sell", {"to": "c1"}):
            story.state("cash", 100, 112)

What happens in a turn is caused by the turn's start, what happens inside a `with` by the event it began with; `looked_at`
adds what a choice was based on. Spans, log lines and plain `whence.emit` inside get the same causes. Changes of variables
need not be told one by one: `story.watch(...)` finds them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry import context

from whence.event.kinds import Verbosity
from whence.event.typed import TypedEvent
from whence.event.vocabularies.simulation import (
    Action,
    Decision,
    SimulationEnd,
    SimulationStart,
    StateChange,
    TurnEnd,
    TurnStart,
)
from whence.event.vocabularies.workflow import ProviderCalled
from whence.integrations.scope import LlmCall, Scope, current_scope
from whence.integrations.watch import Watch
from whence.record.causes import EventRef, OneCause, ambient, through
from whence.record.configure import current_run
from whence.record.run import Run

WORLD: Final = ""
"""Given as the agent, it says that something is nobody's: the weather, a tax."""
MAX_VARIABLES: Final = 65_536
"""Variables whose last event a story remembers; beyond, those longest unknown are forgotten."""

Payload = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


class Story:
    """What an engine tells of one run. An `agent` is a name, or any object: `name_of` gives its name.

    One turn is on at a time; agents may act in any order, in threads and in tasks.
    """

    def __init__(self, run: Run | None = None) -> None:
        """`run`: where to record; whatever run is current unless given."""
        self._run = run
        self.begun: Scope | None = None
        """The simulation, once it has begun; `begun.end()` tells that it is over."""
        self._turn: tuple[int | None, EventRef | None] = (None, None)
        self._set_by: dict[tuple[str | None, str], EventRef] = {}
        self._failures: dict[tuple[str, str, str | None], tuple[int, EventRef | None]] = {}
        self._watch: Watch | None = None

    @property
    def run(self) -> Run:
        """Where the story is recorded."""
        return current_run() if self._run is None else self._run

    # --- the loop ---------------------------------------------------------------------------------------------------------

    def simulation(self, description: str | None = None, **details: Any) -> Scope:
        """Tell that it all begins; that it is over is told when the `with` block is left, or by `end()`."""
        told = self._tell(SimulationStart, lambda: {"description": description, "details": details or None})
        self.begun = Scope(self, told.event, None, lambda failed: self._over(SimulationEnd, told.event, failed))
        self.look(everyone=True)
        return self.begun

    def turn(self, number: int, **details: Any) -> Scope:
        """Tell that a turn begins; that it is over is told when the `with` block is left, or by `end()`."""
        before = self._turn
        self.look()
        self._turn = (number, None)
        told = self._tell(TurnStart, lambda: {"turn": number, "details": details or None})
        self._turn = (number, told.event)

        def ends(failed: bool) -> None:
            self.look(everyone=True)
            self._over(TurnEnd, told.event, failed)
            self._turn = before

        return Scope(self, told.event, None, ends)

    def agent(self, agent: Any) -> Scope:
        """Everything told inside is this agent's doing; no event of its own."""
        return self._scope(None, agent)

    # --- what agents do -----------------------------------------------------------------------------------------------------

    def action(
        self,
        action_type: str,
        payload: Payload = None,
        *,
        agent: Any = None,
        looked_at: Iterable[Any] = (),
        description: str | None = None,
    ) -> Scope:
        """Tell what an agent does; `payload` may be a callable, called only if the event is recorded."""
        return self.tell(
            Action,
            lambda: {
                "action_type": action_type,
                "action_payload": payload() if callable(payload) else payload,
                "description": description,
            },
            agent=agent,
            looked_at=looked_at,
        )

    def decision(
        self,
        decision_type: str,
        old: Any = None,
        new: Any = None,
        *,
        agent: Any = None,
        looked_at: Iterable[Any] = (),
        description: str | None = None,
    ) -> Scope:
        """Tell what an agent chooses. Where `decision_type` names a variable, the decision causes its change that follows.

        `looked_at`, what the choice was based on: `(agent, variable)` for what last set that variable (the world's:
        `(WORLD, variable)`), what any call of the story gave, and all that `caused_by` takes.
        """
        told = self.tell(
            Decision,
            lambda: {"decision_type": decision_type, "old_value": old, "new_value": new, "description": description},
            agent=agent,
            looked_at=looked_at,
        )
        if told.event is not None:
            scope = current_scope(self)
            if scope is not None:
                scope.decided[told.agent, decision_type] = told.event
            self._remember(told.agent, decision_type, told.event)
        return told

    def state(
        self, variable_name: str, old: Any, new: Any, *, agent: Any = None, looked_at: Iterable[Any] = ()
    ) -> Scope:
        """Tell that a variable changed: of the agent whose doing it is, of another, or of the world (`agent=WORLD`)."""
        whose, scope = self._who(agent), current_scope(self)
        decided = scope.decided.get((whose, variable_name)) if scope else None
        told = self._tell(
            StateChange,
            lambda: {"variable_name": variable_name, "old_value": old, "new_value": new},
            agent,
            looked_at,
            decided,
        )
        setter = told.event or decided or (scope.event if scope else None)
        if setter is not None:
            self._remember(whose, variable_name, setter)
        return told

    def llm_call(self, provider: str, model: str, prompt: str = "", *, agent: Any = None) -> LlmCall:
        """Tell that a language model is asked: `with story.llm_call(...) as call: call.responded(client.ask(...))`.

        An exception that leaves the block is told as a failure. The same agent's next call of that model is then a retry,
        caused by the failure.
        """
        who = self._who(agent)
        retries, failure = self._failures.pop((provider, model, who), (0, None))
        told = self.tell(
            ProviderCalled,
            lambda: {"provider": provider, "model": model, "prompt_length": len(prompt)},
            agent=agent,
            instead=failure,
        )

        def failed(event: EventRef | None) -> None:
            self._failures[provider, model, who] = (retries + 1, event)

        return LlmCall(self, told.event, who, asked=(provider, model), retries=retries, on_failure=failed)

    def tell(
        self,
        model: type[TypedEvent],
        fields: Callable[[], Mapping[str, Any]],
        *,
        agent: Any = None,
        looked_at: Iterable[Any] = (),
        instead: EventRef | None = None,
    ) -> Scope:
        """Tell an event of any model, with this turn, this agent and the causes in force added.

        `fields` is called only if the event is recorded. `instead`: a cause that takes the place of the one in force.
        """
        if self._watch is not None:
            self.look()
        return self._tell(model, fields, agent, looked_at, instead)

    # --- variables ------------------------------------------------------------------------------------------------------------

    def watch(
        self,
        world: object,
        variables: Sequence[str] = (),
        *,
        agents: Callable[[], Iterable[object]] = tuple,
        agent_variables: Sequence[str] = (),
        one_at_a_time: bool = True,
    ) -> None:
        """Tell by itself, from now on, when these variables of the world and of its agents (those there are then) change.

        They are looked at when anything is told and when a `with` block is left, at verbosity `state` and above; the cause
        is what was going on since the last look. `one_at_a_time=False`, for agents that act at the same time, or for
        thousands of them: looks only at the agent that is acting, and at all others when the turn ends.
        """
        self._watch = Watch(world, variables, agents, agent_variables, one_at_a_time=one_at_a_time)
        if self.begun is not None:
            self.look(everyone=True)

    def look(self, *, everyone: bool = False) -> None:
        """Tell what changed in the watched variables since the last look, as caused by what is going on now."""
        watch = self._watch
        if watch is None:
            return
        if self.run.loudest < Verbosity.STATE:
            watch.forget()
            return
        scope = current_scope(self)
        for owner, change in watch.look(scope.owner if scope else None, everyone=everyone):
            self.state(change.name, change.old, change.new, agent=WORLD if owner is watch.world else owner)

    def last(self, agent: Any, variable_name: str) -> EventRef | None:
        """What last set a variable, as far as recorded: its change, else the decision or action behind it."""
        return self._set_by.get((self._name(agent), variable_name))

    # --- causes ---------------------------------------------------------------------------------------------------------------

    def _tell(
        self,
        model: type[TypedEvent],
        fields: Callable[[], Mapping[str, Any]],
        agent: Any = None,
        looked_at: Iterable[Any] = (),
        instead: EventRef | None = None,
    ) -> Scope:
        run, who = self.run, self._who(agent)
        passes = run.passes(model.kind, who, model.severity)
        if not passes and not looked_at:
            return self._scope(instead, agent)
        causes: list[OneCause] = [instead] if instead is not None else self._in_force()
        causes.extend(self._looked(one) for one in looked_at)
        if not passes:
            return self._scope(through(causes), agent)
        turn = self._turn[0]
        event = run.emit(model, lambda: {"turn": turn, **fields()}, agent=who, caused_by=causes)
        return self._scope(event, agent)

    def _scope(self, event: EventRef | None, agent: Any) -> Scope:
        scope = Scope(self, event, self._who(agent))
        if agent is None:
            around = current_scope(self)
            scope.owner = around.owner if around is not None else None
        elif not isinstance(agent, str):
            scope.owner = agent
        return scope

    def _in_force(self) -> list[OneCause]:
        found = ambient(context.get_current())
        if found is not None and found.causes:
            return [cause.id for cause in found.causes]
        return [self._turn[1] or (self.begun.event if self.begun else None)]

    def _looked(self, one: Any) -> OneCause:
        if isinstance(one, Scope):
            return one.event
        if isinstance(one, tuple):
            return self.last(*one)
        found: OneCause = one
        return found

    def _who(self, agent: Any) -> str | None:
        """The name of the agent given; where none is, of the one whose doing everything here is."""
        if agent is not None:
            return self._name(agent)
        scope = current_scope(self)
        return scope.agent if scope is not None else None

    def _name(self, agent: Any) -> str | None:
        if isinstance(agent, str):
            return agent or None
        if agent is None or (self._watch is not None and agent is self._watch.world):
            return None
        return name_of(agent)

    def _remember(self, agent: str | None, variable_name: str, event: EventRef) -> None:
        self._set_by[agent, variable_name] = event
        if len(self._set_by) > MAX_VARIABLES:
            del self._set_by[next(iter(self._set_by))]

    def _over(self, model: type[TypedEvent], began: EventRef | None, failed: bool) -> None:
        turn = self._turn[0]
        self.run.emit(model, lambda: {"turn": turn, "status": "failed" if failed else None}, caused_by=began)


def name_of(agent: Any) -> str:
    """What an agent is called: its `name`; else its class and its `unique_id` or `id`, as in `firm-7`; else its text."""
    name = getattr(agent, "name", None)
    if isinstance(name, str):
        return name
    for attribute in ("unique_id", "id"):
        number = getattr(agent, attribute, None)
        if isinstance(number, (str, int)):
            return f"{type(agent).__name__.lower()}-{number}"
    return str(agent)
