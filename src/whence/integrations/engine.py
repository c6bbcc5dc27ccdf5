"""Any engine of your own, told by one call: its run, turns, agents, actions, state changes and language model calls.

    story = record_engine(engine, turn="play_turn", actions=("act",), agent_variables=("cash", "price"))

wraps those methods of this engine and of its agents, whether plain or `async`. Classes stay as they are, and so do other
engines.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from whence.errors import ConfigError
from whence.integrations.scope import LlmCall, Scope
from whence.integrations.story import Story
from whence.record.run import Run

Told = Callable[..., Scope]


def record_engine(
    engine: Any,
    *,
    run_method: str | None = None,
    turn: str = "step",
    agents: str | Callable[[], Iterable[object]] = "agents",
    actions: Sequence[str] = ("step",),
    variables: Sequence[str] = (),
    agent_variables: Sequence[str] = (),
    llm: Mapping[str, tuple[str, str]] | None = None,
    number: Callable[[], int] | None = None,
    one_at_a_time: bool = True,
    run: Run | None = None,
) -> Story:
    """Tell an engine's story from now on; gives the story, to tell decisions and whatever else is worth it.

    `run_method`: the method that runs it all, from its start to its end; without one the simulation starts now, and ends
    when `story.begun.end()` says so. `turn`: the method that makes a turn; `number` gives the turn's number before it does,
    1, 2, 3, ... unless given. `agents`: the attribute that holds the agents (a list, or a dict's values), or a callable that
    gives them; those that come later are hooked when a turn starts. `actions`: agents' methods, each told as an action.
    `variables` and `agent_variables`, and `one_at_a_time`: see `Story.watch`. `llm`: methods of the engine that ask a
    language model, with provider and model: `{"ask": ("anthropic", "claude-sonnet-4-5")}`; their first argument is the prompt.

    Raises ConfigError for a method that the engine does not have.
    """
    story = Story(run)
    members = agents if callable(agents) else functools.partial(_members, engine, agents)
    numbers = number or functools.partial(next, count(1))

    def turn_starts(*args: Any, **keywords: Any) -> Scope:
        for agent in members():
            hook_agent(story, agent, actions)
        return story.turn(numbers())

    hook(story, engine, turn, turn_starts)
    for method, asked in (llm or {}).items():
        hook(story, engine, method, functools.partial(_asks, story, asked), _answered)
    if run_method is None:
        story.simulation(type(engine).__name__)
    else:
        hook(story, engine, run_method, lambda *args, **keywords: story.simulation(type(engine).__name__))
    story.watch(engine, variables, agents=members, agent_variables=agent_variables, one_at_a_time=one_at_a_time)
    return story


def hook_agent(story: Story, agent: Any, actions: Sequence[str]) -> None:
    """Tell these methods of one agent as its actions, those it has; a second time changes nothing."""
    for action in actions:
        if callable(getattr(agent, action, None)) and story_of(agent, action) is not story:
            hook(story, agent, action, lambda *args, _action=action, **keywords: story.action(_action, agent=agent))


def hook(story: Story, owner: Any, method: str, begins: Told, done: Callable[[Any, Any], object] | None = None) -> None:
    """Put each call of a method, on this one object, inside the scope that `begins` gives for the call's arguments.

    `done(scope, result)` is called inside it. Raises ConfigError where there is no such method, or it cannot be replaced.
    """
    called = getattr(owner, method, None)
    if not callable(called):
        raise ConfigError(f"cannot hook {method!r} of {type(owner).__name__}: it has no such method")
    if inspect.iscoroutinefunction(called):

        @functools.wraps(called)
        async def told(*args: Any, **keywords: Any) -> Any:
            with begins(*args, **keywords) as scope:
                result = await called(*args, **keywords)
                if done is not None:
                    done(scope, result)
            return result

    else:

        @functools.wraps(called)
        def told(*args: Any, **keywords: Any) -> Any:
            with begins(*args, **keywords) as scope:
                result = called(*args, **keywords)
                if done is not None:
                    done(scope, result)
            return result

    told.whence_story = story  # type: ignore[attr-defined]
    try:
        setattr(owner, method, told)
    except AttributeError as fault:
        raise ConfigError(f"cannot hook {method!r} of {type(owner).__name__}: {fault}") from None


def story_of(owner: Any, method: str) -> Story | None:
    """The story that tells of this object's method, if one does."""
    return getattr(getattr(owner, method, None), "whence_story", None)


def _members(engine: Any, attribute: str) -> list[object]:
    found = getattr(engine, attribute, ())
    return list(found.values() if isinstance(found, Mapping) else found)


def _asks(story: Story, asked: tuple[str, str], prompt: object = "", *args: Any, **keywords: Any) -> Scope:
    return story.llm_call(*asked, prompt if isinstance(prompt, str) else "")


def _answered(call: LlmCall, result: object) -> None:
    call.responded(result if isinstance(result, str) else "")
