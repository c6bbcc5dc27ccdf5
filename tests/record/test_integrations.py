"""Hooks for engines and Mesa models: one call tells turns, actions, decisions and state, each with its causes."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mesa
import numpy
import pytest

import whence
from whence.errors import ConfigError
from whence.event.model import Event
from whence.integrations.engine import record_engine
from whence.integrations.mesa import acting, decided, record_model
from whence.integrations.story import WORLD, Story
from whence.integrations.watch import Change, Variables

Start = Callable[..., object]
Recorded = Callable[..., list[Event]]


def told(event: Event) -> str:
    """An event in a few words: its type, whose it is, and what it is about."""
    about = [event.payload[name] for name in ("action_type", "decision_type", "variable_name") if name in event.payload]
    return " ".join([event.type, *filter(None, [event.agent]), *about])


def causes(events: list[Event]) -> list[tuple[str, list[str]]]:
    """Each event in a few words, with its causes in the same words."""
    by_id = {event.id: told(event) for event in events}
    return [(told(event), [by_id[cause] for cause in event.caused_by]) for event in events]


# --- a story told by hand --------------------------------------------------------------------------------------------------


def test_a_story_gives_each_event_the_cause_it_happened_in(start: Start, recorded: Recorded) -> None:
    """Turn by simulation, decision and action by turn, change by action; every one with turn and agent."""
    start(verbosity="state")
    story = Story()
    with story.simulation("a fair"), story.turn(3), story.agent("a7"):
        story.decision("price", 10, 12)
        with story.action("sell", {"to": "c1"}):
            story.state("cash", 1, 2)
    events = recorded()
    assert causes(events) == [
        ("simulation_start", []),
        ("turn_start", ["simulation_start"]),
        ("decision a7 price", ["turn_start"]),
        ("action a7 sell", ["turn_start"]),
        ("state a7 cash", ["action a7 sell"]),
        ("turn_end", ["turn_start"]),
        ("simulation_end", ["simulation_start"]),
    ]
    assert {event.turn for event in events if event.type not in ("simulation_start", "simulation_end")} == {3}


def test_a_change_of_what_was_decided_on_is_caused_by_the_decision(start: Start, recorded: Recorded) -> None:
    """Not by the action around both."""
    start(verbosity="state")
    story = Story()
    with story.turn(1), story.action("step", agent="a"):
        story.decision("price", 1, 2)
        story.state("price", 1, 2)
        story.state("cash", 5, 6)
    assert dict(causes(recorded()))["state a price"] == ["decision a price"]


def test_what_was_looked_at_is_a_cause_and_so_are_refs_and_scopes(start: Start, recorded: Recorded) -> None:
    """A variable stands for what last set it; the world's variables are nobody's; unknown ones stand for nothing."""
    start(verbosity="state")
    story = Story()
    with story.turn(1):
        story.state("wind", 1, 30, agent=WORLD)
        act = story.action("shout", agent="a")
        ref = whence.action("wave")
        looked_at = [(WORLD, "wind"), ("nobody", "nothing"), act, ref]
        story.decision("sail", True, False, agent="ferry", looked_at=looked_at)
    expected = ["turn_start", "state wind", "action a shout", "action wave"]
    assert dict(causes(recorded()))["decision ferry sail"] == expected


def test_where_state_is_suppressed_the_decision_behind_it_is_what_set_the_variable(
    start: Start, recorded: Recorded
) -> None:
    """Chains stay whole at a lower verbosity, only shorter."""
    start(verbosity="action")
    story = Story()
    with story.turn(1):
        with story.action("step", agent="a"):
            story.decision("price", 1, 2)
            story.state("price", 1, 2)
            story.state("cash", 1, 2)
        story.decision("rival", agent="b", looked_at=[("a", "price"), ("a", "cash")])
    expected = ["turn_start", "decision a price", "action a step"]
    assert dict(causes(recorded()))["decision b rival"] == expected


def test_a_suppressed_action_builds_no_payload_and_hands_its_cause_on(start: Start, recorded: Recorded) -> None:
    """What happens inside is caused by what is around it."""
    start(verbosity="decision")
    story = Story()

    def costly() -> dict[str, Any]:
        raise AssertionError("built for nothing")

    with story.turn(1), story.action("sell", costly, agent="a"):
        story.decision("price")
    assert dict(causes(recorded()))["decision a price"] == ["turn_start"]


def test_a_suppressed_action_hands_on_what_it_looked_at(start: Start, recorded: Recorded) -> None:
    """No chain is cut by verbosity."""
    start(verbosity="decision")
    story = Story()
    with story.turn(1):
        story.decision("price", agent="b")
        with story.action("buy", agent="a", looked_at=[("b", "price")]):
            story.decision("sell", agent="a")
    assert dict(causes(recorded()))["decision a sell"] == ["turn_start", "decision b price"]


def test_plain_events_spans_and_because_take_part(start: Start, recorded: Recorded) -> None:
    """Inside an action a plain emit is caused by it; inside `because` the story's own events are caused by that."""
    start()
    story = Story()
    with story.turn(1), story.action("ask", agent="a") as ask:
        whence.log("plain")
        with whence.because(ask.event):
            answer = whence.log("answer")
        with whence.because(answer):
            story.decision("believe")
    found = dict(causes(recorded()))
    assert found["plain"] == ["action a ask"]
    assert found["decision a believe"] == ["answer"]


def test_agents_in_threads_belong_to_the_turn(start: Start, recorded: Recorded) -> None:
    """A pool's threads know nothing of the turn's context; the story does."""
    start()
    story = Story()

    def act(name: str) -> None:
        with story.action("step", agent=name):
            story.decision("move")

    with story.turn(4), ThreadPoolExecutor(4) as pool:
        list(pool.map(act, [f"a{number}" for number in range(20)]))
    found = dict(causes(recorded()))
    for number in range(20):
        assert found[f"action a{number} step"] == ["turn_start"]
        assert found[f"decision a{number} move"] == [f"action a{number} step"]


def test_a_language_model_that_is_asked_again_is_asked_because_it_failed(start: Start, recorded: Recorded) -> None:
    """called, failed, called, failed, called, responded: one chain, with the number of retries."""
    start()
    story = Story()
    answers = iter([TimeoutError("slow"), ConnectionError("gone"), "forty-two"])
    with story.turn(1), story.agent("a"):
        for _ in range(3):
            answer = next(answers)
            try:
                with story.llm_call("acme", "large", "what is it?") as call:
                    if isinstance(answer, Exception):
                        raise answer
                    call.responded(answer, tokens=7)
            except OSError:
                continue
    events = recorded()
    chain = ["provider.called", "system", "provider.called", "system", "provider.called", "provider.responded"]
    asked = [event for event in events if event.type in chain]
    assert [event.type for event in asked] == chain
    assert [event.caused_by for event in asked[1:]] == [(event.id,) for event in asked[:-1]]
    assert [event.payload["retry_count"] for event in asked if event.type == "system"] == [0, 1]
    assert asked[0].payload["prompt_length"] == 11
    assert asked[-1].payload["output_length"] == 9
    assert asked[-1].payload["tokens"] == 7


def test_an_exception_is_told_once_where_it_began(start: Start, recorded: Recorded) -> None:
    """By the innermost scope; the turn ends as failed, and the caller gets the exception."""
    start()
    story = Story()
    with pytest.raises(ZeroDivisionError), story.simulation(), story.turn(1), story.action("step", agent="a"):
        _ = 1 / 0
    events = recorded()
    assert [(told(event), event.status) for event in events if event.type in ("exception", "turn_end")] == [
        ("exception a", None),
        ("turn_end", "failed"),
    ]
    assert dict(causes(events))["exception a"] == ["action a step"]


# --- an engine of one's own -------------------------------------------------------------------------------------------------


class Walker:
    def __init__(self, name: str, world: "Walks") -> None:
        self.name, self.world, self.place = name, world, 0

    def act(self) -> None:
        self.place += 1
        self.world.steps += 1


class Walks:
    def __init__(self) -> None:
        self.steps = 0
        self.agents = [Walker("ann", self), Walker("bob", self)]

    def play(self, turns: int) -> None:
        for _ in range(turns):
            self.turn()

    def turn(self) -> None:
        for agent in self.agents:
            agent.act()


def test_an_engine_is_wired_by_one_call(start: Start, recorded: Recorded) -> None:
    """Its run, turns, agents' actions and the variables named, with causes."""
    start(verbosity="state")
    walks = Walks()
    record_engine(
        walks, run_method="play", turn="turn", actions=("act",), variables=("steps",), agent_variables=("place",)
    )
    walks.play(1)
    assert causes(recorded()) == [
        ("simulation_start", []),
        ("state steps", ["simulation_start"]),
        ("state ann place", ["simulation_start"]),
        ("state bob place", ["simulation_start"]),
        ("turn_start", ["simulation_start"]),
        ("action ann act", ["turn_start"]),
        ("state steps", ["action ann act"]),
        ("state ann place", ["action ann act"]),
        ("action bob act", ["turn_start"]),
        ("state steps", ["action bob act"]),
        ("state bob place", ["action bob act"]),
        ("turn_end", ["turn_start"]),
        ("simulation_end", ["simulation_start"]),
    ]


def test_another_engine_of_the_same_class_is_left_alone(start: Start, recorded: Recorded) -> None:
    """What is hooked is the object, not its class."""
    start()
    record_engine(Walks(), turn="turn", actions=("act",))
    Walks().turn()
    assert [event.type for event in recorded()] == ["simulation_start"]


class Desk:
    """An orchestrator of language model agents, on asyncio, with its own way to try again."""

    def __init__(self) -> None:
        self.agents = {name: Clerk(name, self) for name in ("x", "y")}
        self.failures = 1

    async def step(self) -> None:
        await asyncio.gather(*(clerk.step() for clerk in self.agents.values()))

    async def ask(self, prompt: str) -> str:
        await asyncio.sleep(0)
        if prompt == "x?" and self.failures:
            self.failures -= 1
            raise TimeoutError("slow")
        return "yes"


class Clerk:
    def __init__(self, id: str, desk: Desk) -> None:
        self.id, self.desk, self.mood = id, desk, "calm"

    async def step(self) -> None:
        for _ in range(2):
            try:
                await self.desk.ask(f"{self.id}?")
                return
            except TimeoutError:
                self.mood = "cross"


def test_an_async_orchestra_of_agents_is_told_without_mixing_them_up(start: Start, recorded: Recorded) -> None:
    """Agents that act at the same time: calls, retries and changes are each one's own."""
    start(verbosity="state")
    desk = Desk()
    record_engine(
        desk, llm={"ask": ("acme", "large")}, agent_variables=("mood",), one_at_a_time=False, number=lambda: 9
    )
    asyncio.run(desk.step())
    events = recorded()
    by_id = {event.id: event for event in events}
    assert {event.turn for event in events if event.type == "turn_start"} == {9}
    assert [event.agent for event in events if event.type == "provider.called"].count("clerk-x") == 2
    assert [event.agent for event in events if event.type == "provider.called"].count("clerk-y") == 1
    cross = next(event for event in events if event.payload.get("new_value") == "cross")
    assert told(cross) == "state clerk-x mood"
    assert told(by_id[cross.caused_by[0]]) in ("action clerk-x step", "provider.called clerk-x")
    failed = next(event for event in events if event.type == "system")
    again = [event for event in events if event.caused_by == (failed.id,)]
    assert [event.type for event in again] == ["provider.called"]


def test_a_method_that_is_not_there_or_cannot_be_replaced_is_a_wrong_setting(start: Start) -> None:
    """The message names the method and the class."""
    start()
    with pytest.raises(ConfigError, match="'stroll' of Walks"):
        record_engine(Walks(), turn="stroll")

    class Fixed:
        __slots__ = ()

        def step(self) -> None: ...

    with pytest.raises(ConfigError, match="'step' of Fixed"):
        record_engine(Fixed())


# --- variables --------------------------------------------------------------------------------------------------------------


class Box:
    pass


def test_variables_are_seen_to_change_by_value_in_place_and_anew() -> None:
    """Lists and arrays changed in place, dotted names, variables that come to be; NaN is no change."""
    box = Box()
    box.items, box.array, box.rate, box.inner = [1], numpy.array([1.0, math.nan]), math.nan, Box()  # type: ignore[attr-defined]
    box.inner.cash = 5  # type: ignore[attr-defined]
    variables = Variables(("items", "array", "rate", "inner.cash", "late"))

    def look() -> list[Change]:
        return [change for _, change in variables.look([box], anew=True)]

    assert [change.name for change in look()] == ["items", "array", "rate", "inner.cash"]
    assert look() == []
    box.rate = float("nan")  # type: ignore[attr-defined]
    assert look() == []
    box.items.append(2)  # type: ignore[attr-defined]
    box.inner.cash = 6  # type: ignore[attr-defined]
    box.late = None  # type: ignore[attr-defined]
    expected = [Change("items", [1], [1, 2]), Change("inner.cash", 5, 6), Change("late", None, None)]
    assert look() == expected
    box.array[0] = 2.0  # type: ignore[attr-defined]
    assert [change.name for change in look()] == ["array"]


# --- Mesa -----------------------------------------------------------------------------------------------------------------------


class Trader(mesa.Agent):
    """Gives one coin to its neighbour each step, and the model takes one as a tax afterwards."""

    def __init__(self, model: "Bank", coins: int) -> None:
        super().__init__(model)
        self.coins = coins

    def step(self) -> None:
        self.coins -= 1
        self.model.neighbour(self).coins += 1


class Bank(mesa.Model):
    def __init__(self, turns: int = 2) -> None:
        super().__init__(seed=1)
        self.turns, self.vault = turns, 0
        Trader.create_agents(self, 2, 10)

    def neighbour(self, trader: Trader) -> Trader:
        return next(other for other in self.agents if other is not trader)

    def step(self) -> None:
        self.agents.do("step")
        self.vault += 1
        self.running = self.steps < self.turns


def test_a_mesa_model_is_recorded_by_one_call(start: Start, recorded: Recorded) -> None:
    """Turns, steps, and changes: of the agent and of others by the agent's step, of the model by the turn."""
    start(verbosity="state")
    bank = Bank(turns=1)
    record_model(bank, agent_variables=("coins",), model_variables=("vault",))
    bank.run_model()
    events = recorded()
    assert causes(events)[:1] + causes(events)[4:] == [
        ("simulation_start", []),
        ("turn_start", ["simulation_start"]),
        ("action trader-1 step", ["turn_start"]),
        ("state trader-1 coins", ["action trader-1 step"]),
        ("state trader-2 coins", ["action trader-1 step"]),
        ("action trader-2 step", ["turn_start"]),
        ("state trader-1 coins", ["action trader-2 step"]),
        ("state trader-2 coins", ["action trader-2 step"]),
        ("state vault", ["turn_start"]),
        ("turn_end", ["turn_start"]),
        ("simulation_end", ["simulation_start"]),
    ]
    values = [(e.payload.get("old_value"), e.payload["new_value"]) for e in events if told(e) == "state trader-1 coins"]
    assert values == [(None, 10), (10, 9), (9, 10)]


def test_recording_does_not_change_what_a_model_does(start: Start, recorded: Recorded) -> None:
    """Neither its random numbers nor its order."""

    class Gamble(Bank):
        def step(self) -> None:
            self.agents.shuffle_do("step")
            self.vault += self.random.randint(0, 100)

    plain, watched = Gamble(), Gamble()
    start(verbosity="detail")
    record_model(watched, agent_variables=("coins",), model_variables=("vault",))
    for _ in range(5):
        plain.step()
        watched.step()
    assert (plain.vault, [a.coins for a in plain.agents]) == (watched.vault, [a.coins for a in watched.agents])
    assert sum(event.type == "turn_start" for event in recorded()) == 5


def test_agents_born_later_are_recorded_and_the_dead_are_not(start: Start, recorded: Recorded) -> None:
    """Their first values are state, caused by the step they were born in."""

    class Mother(Trader):
        def step(self) -> None:
            if self.model.steps == 1:
                Trader(self.model, 3)
                self.remove()

    bank = Bank()
    Mother(bank, 0)
    start(verbosity="state")
    record_model(bank, agent_variables=("coins",))
    bank.step()
    bank.step()
    events = recorded()
    assert [event.turn for event in events if told(event) == "action mother-3 step"] == [1]
    assert [event.turn for event in events if told(event) == "action trader-4 step"] == [2]
    assert dict(reversed(causes(events)))["state trader-4 coins"] == ["action mother-3 step"]


class Saver(Trader):
    """Tells more than a recorder can see."""

    def step(self) -> None:
        decided(self, "coins", self.coins, self.coins + 5, looked_at=[(self.model, "vault")])
        self.coins += 5
        with acting(self, "deposit", {"coins": 2}, looked_at=[(self, "coins")]):
            self.coins -= 2
            self.model.vault += 2


def test_a_model_may_tell_decisions_and_acts_and_what_was_looked_at(start: Start, recorded: Recorded) -> None:
    """A change before an act is not the act's; the decision on a variable causes its change."""
    bank = Bank()
    bank.remove_all_agents()
    saver = Saver(bank, 1)
    start(verbosity="state")
    record_model(bank, agent_variables=("coins",), model_variables=("vault",))
    bank.agents.do("step")
    name = f"saver-{saver.unique_id}"
    step = f"action {name} step"
    assert causes(recorded())[3:] == [
        (step, ["simulation_start"]),
        (f"decision {name} coins", [step, "state vault"]),
        (f"state {name} coins", [f"decision {name} coins"]),
        (f"action {name} deposit", [step, f"state {name} coins"]),
        ("state vault", [f"action {name} deposit"]),
        (f"state {name} coins", [f"action {name} deposit"]),
    ]


def test_a_model_that_tells_more_runs_unrecorded_too(start: Start, recorded: Recorded) -> None:
    """Its hooks then do nothing."""
    start()
    bank = Bank()
    Saver(bank, 1)
    bank.step()
    assert recorded() == []


def test_verbosity_counts_for_a_model_and_can_change_while_it_runs(start: Start, recorded: Recorded) -> None:
    """At `milestone` only turns; with `state` switched on, all values as the next turn begins, then changes."""
    start(verbosity="milestone")
    bank = Bank(turns=9)
    record_model(bank, agent_variables=("coins",), model_variables=("vault",))
    bank.step()
    whence.set_verbosity("state")
    bank.step()
    whence.set_verbosity("milestone")
    bank.step()
    events = recorded()
    by_turn = {turn: [e.type for e in events if e.turn == turn] for turn in (None, 1, 2, 3)}
    assert by_turn[1] == by_turn[3] == ["turn_start", "turn_end"]
    assert by_turn[2].count("action") == 2
    assert by_turn[None].count("state") == 3
    assert by_turn[2].count("state") == 5


def test_an_agents_exception_is_told_with_its_cause_and_raised(start: Start, recorded: Recorded) -> None:
    """The program sees what it would have seen."""

    class Faulty(Trader):
        def step(self) -> None:
            raise ValueError("out of coins")

    bank = Bank()
    Faulty(bank, 0)
    start()
    record_model(bank)
    with pytest.raises(ValueError, match="out of coins"):
        bank.step()
    events = recorded()
    assert dict(causes(events))["exception faulty-3"] == ["action faulty-3 step"]
    assert sum(event.type == "exception" for event in events) == 1


def test_a_model_is_recorded_once(start: Start) -> None:
    """A second call would tell everything twice."""
    start()
    bank = Bank()
    record_model(bank)
    with pytest.raises(ConfigError, match="recorded already"):
        record_model(bank)
