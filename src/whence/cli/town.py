"""A town of 20 agents in which the best bakery closes, and nobody in town could say why: the bundled demonstration.

Every quantity remembers the event that set it. An agent that decides names, as causes, the events of just those quantities it
looked at; that is all it takes for `whence why` to find the way back.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from whence.event.vocabularies.simulation import (
    Action,
    Decision,
    PhaseTransition,
    SimulationEnd,
    SimulationStart,
    StateChange,
    System,
    TurnEnd,
    TurnStart,
)
from whence.record.causes import Causes, EventRef
from whence.record.run import Run

DAYS: Final = 20
FARMERS: Final = ("farmer-1", "farmer-2", "farmer-3", "farmer-4", "farmer-5", "farmer-6")
MILLERS: Final = ("miller-1", "miller-2", "miller-3")
BAKERS: Final = ("baker-1", "baker-2", "baker-3", "baker-4", "baker-5", "baker-6", "baker-7")
AGENTS: Final = (*FARMERS, *MILLERS, *BAKERS, "ferry", "mast", "bank", "inn")

GLITCH_DAY: Final = 7
EXPANSION_DAY: Final = 5
SAFE_WIND: Final = 18.0
"""Metres a second above which the ferry stays in the harbour."""


@dataclass
class Quantity:
    """A number in the town, and the event that last set it."""

    value: float
    event: EventRef | None = None


@dataclass
class Town:
    """The simulation. `run` records it; nothing else in here knows about recording."""

    run: Run
    random: random.Random
    day: int = 0
    wind: Quantity = field(default_factory=lambda: Quantity(6.0))
    ferry_sails: Quantity = field(default_factory=lambda: Quantity(1))
    grain: dict[str, Quantity] = field(default_factory=lambda: {miller: Quantity(60.0) for miller in MILLERS})
    price: dict[str, Quantity] = field(default_factory=lambda: {miller: Quantity(10.0) for miller in MILLERS})
    cash: dict[str, Quantity] = field(default_factory=lambda: {baker: Quantity(120.0) for baker in BAKERS})
    debt: dict[str, Quantity] = field(default_factory=lambda: {baker: Quantity(0.0) for baker in BAKERS})
    sales: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BAKERS, 18.0) | {"baker-4": 26.0})
    closed: dict[str, EventRef | None] = field(default_factory=dict)

    def live(self) -> None:
        """All the days, from the first to the last."""
        start = self.run.emit(SimulationStart(description="20 agents, one road to the mill", details={"days": DAYS}))
        for self.day in range(1, DAYS + 1):
            morning = self.run.emit(TurnStart(turn=self.day), caused_by=start)
            self.measure_wind()
            self.sail(morning)
            self.harvest(morning)
            for miller in MILLERS:
                self.set_price(miller)
            for baker in BAKERS:
                if baker not in self.closed:
                    self.bake(baker)
            self.review_loans(morning)
            self.run.emit(TurnEnd(turn=self.day), caused_by=morning)
        self.run.emit(
            SimulationEnd(description=f"closed: {', '.join(self.closed) or 'nobody'}"),
            caused_by=list(self.closed.values()),
        )

    # --- the agents, in the order of their day -----------------------------------------------------------------------------

    def measure_wind(self) -> None:
        measured, cause = round(self.random.uniform(4, 9), 1), None
        if self.day == GLITCH_DAY:
            cause = self.run.emit(
                System(
                    agent="mast",
                    turn=self.day,
                    error_type="SensorTimeout",
                    status="recovered",
                    retry_count=3,
                    description="anemometer silent; took the backup sensor's 31 km/h for 31 m/s",
                )
            )
            measured = 31.0
        self.change("mast", "wind", self.wind, measured, cause)

    def sail(self, morning: EventRef | None) -> None:
        sails = self.wind.value < SAFE_WIND
        if self.day in (GLITCH_DAY + 1, GLITCH_DAY + 2):
            sails = False  # a ferry that stayed in harbour waits for the inspector, who comes on the third day
        decided = self.decide(
            "ferry",
            "sail",
            bool(self.ferry_sails.value),
            sails,
            [self.wind.event if sails else self.held_back(), morning],
        )
        self.ferry_sails = Quantity(sails, decided)
        if sails:
            for miller in MILLERS:
                landed = self.act("ferry", "deliver", {"to": miller, "grain": 14}, decided)
                self.change(miller, "grain", self.grain[miller], self.grain[miller].value + 14, landed)

    def held_back(self) -> EventRef | None:
        """What keeps the ferry in: today's wind, or its own decision of the day before."""
        return self.wind.event if self.wind.value >= SAFE_WIND else self.ferry_sails.event

    def harvest(self, morning: EventRef | None) -> None:
        for number, farmer in enumerate(FARMERS):
            miller = MILLERS[number % len(MILLERS)]
            sacks = self.random.randint(3, 6)
            brought = self.act(farmer, "harvest", {"to": miller, "grain": sacks}, morning)
            self.change(miller, "grain", self.grain[miller], self.grain[miller].value + sacks, brought)

    def set_price(self, miller: str) -> None:
        grain = self.grain[miller]
        wanted = round(min(30.0, max(8.0, 10.0 + (50.0 - grain.value) * 0.45)), 1)
        if abs(wanted - self.price[miller].value) >= 1.0:
            causes = [grain.event] if self.ferry_sails.value else [grain.event, self.ferry_sails.event]
            decided = self.decide(miller, "flour price", self.price[miller].value, wanted, causes)
            self.price[miller] = Quantity(wanted, decided)

    def bake(self, baker: str) -> None:
        miller = MILLERS[BAKERS.index(baker) % len(MILLERS)]
        price, flour = self.price[miller], self.sales[baker] / 3
        cost = round(price.value * flour, 1)
        if baker == "baker-4" and self.day == EXPANSION_DAY:
            self.expand(baker)
        if cost > self.cash[baker].value:
            self.borrow(baker, cost - self.cash[baker].value + 40, [price.event, self.cash[baker].event])
        bought = self.act(baker, "buy flour", {"from": miller, "cost": cost}, [price.event, self.cash[baker].event])
        self.change(miller, "grain", self.grain[miller], self.grain[miller].value - flour, bought)
        earned = round(self.sales[baker] * self.random.uniform(3.3, 3.7), 1)
        self.change(baker, "cash", self.cash[baker], round(self.cash[baker].value - cost + earned, 1), bought)

    def expand(self, baker: str) -> None:
        decided = self.decide(
            baker, "ovens", 1, 2, self.cash[baker].event, "sells out every day: buys a second oven on credit"
        )
        self.borrow(baker, 150, decided)
        self.change(baker, "cash", self.cash[baker], self.cash[baker].value - 150, decided)
        self.sales[baker] = 44.0

    def borrow(self, baker: str, amount: float, cause: Causes) -> None:
        lent = self.act("bank", "lend", {"to": baker, "amount": round(amount, 1)}, cause)
        self.change(baker, "debt", self.debt[baker], round(self.debt[baker].value + amount, 1), lent)
        self.change(baker, "cash", self.cash[baker], round(self.cash[baker].value + amount, 1), lent)

    def review_loans(self, morning: EventRef | None) -> None:
        for baker in BAKERS:
            debt = self.debt[baker]
            if baker in self.closed or debt.value <= 260:
                continue
            called = self.decide("bank", f"credit of {baker}", "open", "called in", [debt.event, morning])
            due = self.act("bank", "call in loan", {"from": baker, "amount": debt.value}, called)
            if self.cash[baker].value < debt.value:
                self.closed[baker] = self.run.emit(
                    PhaseTransition(
                        agent=baker,
                        turn=self.day,
                        old_phase="open",
                        new_phase="closed",
                        description=f"{baker}, who sold more bread than anyone, closes",
                    ),
                    caused_by=[due, self.cash[baker].event],
                )

    # --- saying what happened ------------------------------------------------------------------------------------------------

    def change(self, agent: str, name: str, quantity: Quantity, new: float, cause: Causes) -> None:
        new = round(new, 1)
        if new != quantity.value:
            quantity.event = self.run.emit(
                StateChange(agent=agent, turn=self.day, variable_name=name, old_value=quantity.value, new_value=new),
                caused_by=cause,
            )
            quantity.value = new

    def decide(
        self, agent: str, what: str, old: Any, new: Any, cause: Causes, description: str | None = None
    ) -> EventRef | None:
        return self.run.emit(
            Decision(
                agent=agent, turn=self.day, decision_type=what, old_value=old, new_value=new, description=description
            ),
            caused_by=cause,
        )

    def act(self, agent: str, what: str, payload: dict[str, Any], cause: Causes) -> EventRef | None:
        return self.run.emit(
            Action(agent=agent, turn=self.day, action_type=what, action_payload=payload), caused_by=cause
        )


def simulate(run: Run, *, seed: int = 4, town: Callable[[Run, random.Random], Town] = Town) -> Town:
    """Live through all days of a town, recording into `run`; the same seed gives the same story."""
    lived = town(run, random.Random(seed))
    lived.live()
    return lived
