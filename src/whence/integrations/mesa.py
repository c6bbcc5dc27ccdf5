"""A Mesa model, told by one call: turns, agents' steps as actions, changes of chosen variables, and decisions on request.

    model = Market(seed=7)
    record_model(model, agent_variables=("cash", "price"), model_variables=("tax",))

Needs nothing of the model. It may say more: `decided` and `acting` tell an agent's choices and what it does within a step,
and do nothing in a model that is not recorded. Hooked are this model and its agents, by their own attributes, as Mesa wraps
`step` itself; a hooked model cannot be pickled.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from whence.errors import ConfigError
from whence.integrations.engine import hook, hook_agent, story_of
from whence.integrations.scope import Scope
from whence.integrations.story import Story
from whence.record.causes import EventRef
from whence.record.run import Run

if TYPE_CHECKING:
    from mesa import Agent, Model


def record_model(
    model: "Model",
    *,
    agent_variables: Sequence[str] = (),
    model_variables: Sequence[str] = (),
    actions: Sequence[str] = ("step",),
    one_at_a_time: bool = True,
    run: Run | None = None,
) -> Story:
    """Tell a model's story from now on: each `model.step()` is a turn, each call of an agent's `actions` an action.

    Call it when the model is set up; agents that are created later are told too. With verbosity `state`, changes of
    `agent_variables` and `model_variables` are events, caused by the decision, action or turn in which they came about.
    `actions`: the agents' methods that the model calls by name (`agents.shuffle_do("move")`). `one_at_a_time`: see
    `Story.watch`. The simulation ends when `model.running` becomes False, or by `begun.end()` of the story given back.

    Raises ConfigError for a model that is recorded already.
    """
    if story_of(model, "step") is not None:
        raise ConfigError(f"cannot record {type(model).__name__}: it is recorded already")
    story = Story(run)
    begun = story.simulation(type(model).__name__, agents=len(model.agents))

    def over(turn: Scope, result: object) -> None:
        if not model.running:
            turn.end()
            begun.end()

    hook(story, model, "step", lambda *args, **keywords: story.turn(model.steps + 1), over)
    for agent in model.agents:
        hook_agent(story, agent, actions)
    registers = model.register_agent

    def register_agent(agent: "Agent") -> None:
        registers(agent)
        hook_agent(story, agent, actions)

    model.register_agent = register_agent
    story.watch(
        model,
        model_variables,
        agents=lambda: model.agents,
        agent_variables=agent_variables,
        one_at_a_time=one_at_a_time,
    )
    return story


def decided(
    agent: "Agent",
    decision_type: str,
    old: Any = None,
    new: Any = None,
    *,
    looked_at: Iterable[Any] = (),
    description: str | None = None,
) -> EventRef | None:
    """Tell what an agent chooses, where its model is recorded. Say it before the variable of that name changes.

    `looked_at`: `(agent, "price")` and `(model, "tax")` stand for what last set those variables; see `Story.decision`.
    """
    story = story_of(agent.model, "step")
    if story is None:
        return None
    return story.decision(decision_type, old, new, agent=agent, looked_at=looked_at, description=description).event


def acting(
    agent: "Agent",
    action_type: str,
    payload: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    *,
    looked_at: Iterable[Any] = (),
) -> AbstractContextManager[object]:
    """Tell what an agent does within its step, where its model is recorded; what changes inside the `with` is its effect."""
    story = story_of(agent.model, "step")
    if story is None:
        return nullcontext()
    return story.action(action_type, payload, agent=agent, looked_at=looked_at)
