"""A town of 20 agents in which the best bakery closes, and nobody in town could say why: the bundled demonstration.

Every quantity remembers the event that set it. An agent that decides names, as causes, the events of just those quantities it
looked at; that is all it takes for `whence why` to find the way back.
"""

import random
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
INSPECTION_DAYS: Final = 2
"""A ferry that stayed in the harbour waits this long for the inspector."""
SAFE_WIND: Final = 18.0
"""Metres a second above which the ferry stays in the harbour."""
MENU_COST: Final = 1.0
"""Millers leave a price alone that is off by less than this."""
CREDIT_LIMIT: Final = 260.0
BEST: Final = "baker-4"


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
    ferry: str = "sails"
    ferry_event: EventRef | None = None
    grain: dict[str, Quantity] = field(default_factory=lambda: {miller: Quantity(60.0) for miller in MILLERS})
    price: dict[str, Quantity] = field(default_factory=lambda: {miller: Quantity(10.0) for miller in MILLERS})
    cash: dict[str, Quantity] = field(default_factory=lambda: {baker: Quantity(120.0) for baker in BAKERS})
    debt: dict[str, Quantity] = field(default_factory=lambda: {baker: Quantity(0.0) for baker in BAKERS})
    sales: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BAKERS, 18.0) | {BEST: 26.0})
    closed: dict[str, EventRef | None] = field(default_factory=dict)

    def live(self) -> None:
        """All the days, from the first to the last."""
        start = self.run.emit(SimulationStart(description="20 agents, one road to the mill", details={"days": DAYS}))
        for self.day in range(1, DAYS + 1):
            morning = self.run.emit(TurnStart(turn=self.day), caused_by=start)
            self.measure_wind(morning)
            self.sail()
            self.harvest(morning)
            for miller in MILLERS:
                self.set_price(miller)
            for baker in BAKERS:
                if baker not in self.closed:
                    self.bake(baker, morning)
            self.review_loans()
            self.run.emit(TurnEnd(turn=self.day), caused_by=morning)
        closed = ", ".join(self.closed) or "nobody"
        self.run.emit(
            SimulationEnd(description=f"closed: {closed}"),
            caused_by=list(self.closed.values()),
        )

    # --- the agents, in the order of their day -----------------------------------------------------------------------------

    def measure_wind(self, morning: EventRef | None) -> None:
        measured, cause = round(self.random.uniform(4, 9), 1), morning
        if self.day == GLITCH_DAY:
            cause = self.run.emit(
                System(
                    agent="mast",
                    turn=self.day,
                    error_type="SensorTimeout",
                    status="recovered",
                    retry_count=3,
                    description="anemometer silent; took the backup sensor's 31 km/h for 31 m/s",
                ),
                caused_by=morning,
            )
            measured = 31.0
        self.change("mast", "wind", self.wind, measured, cause)

    def sail(self) -> None:
        storm = self.wind.value >= SAFE_WIND
        waits = GLITCH_DAY < self.day <= GLITCH_DAY + INSPECTION_DAYS
        plan = "stays in harbour" if storm or waits else "sails"
        if plan != self.ferry:
            self.ferry_event = self.decide("ferry", "ferry", self.ferry, plan, self.wind.event)
            self.ferry = plan
        if plan == "sails":
            for miller in MILLERS:
                landed = self.act("ferry", "deliver", {"to": miller, "grain": 14}, self.wind.event)
                self.change(miller, "grain", self.grain[miller], self.grain[miller].value + 14, landed)

    def harvest(self, morning: EventRef | None) -> None:
        for number, farmer in enumerate(FARMERS):
            miller = MILLERS[number % len(MILLERS)]
            sacks = self.random.randint(3, 6)
            brought = self.act(farmer, "harvest", {"to": miller, "grain": sacks}, morning)
            self.change(miller, "grain", self.grain[miller], self.grain[miller].value + sacks, brought)

    def set_price(self, miller: str) -> None:
        grain, price = self.grain[miller], self.price[miller]
        wanted = round(min(30.0, max(8.0, 10.0 + (50.0 - grain.value) * 0.45)), 1)
        if abs(wanted - price.value) >= MENU_COST:
            cause = grain.event if self.ferry == "sails" else self.ferry_event
            price.event = self.decide(miller, "flour price", price.value, wanted, cause)
            price.value = wanted

    def bake(self, baker: str, morning: EventRef | None) -> None:
        miller = MILLERS[BAKERS.index(baker) % len(MILLERS)]
        if baker == BEST and self.day == EXPANSION_DAY:
            self.expand(baker, morning)
        price, flour = self.price[miller], self.sales[baker] / 3
        cost = round(price.value * flour, 1)
        if cost > self.cash[baker].value:
            self.borrow(baker, cost - self.cash[baker].value + 40, price.event)
        bought = self.act(baker, "buy flour", {"from": miller, "cost": cost}, price.event)
        self.change(miller, "grain", self.grain[miller], self.grain[miller].value - flour, bought)
        earned = self.sales[baker] * self.random.uniform(3.3, 3.7)
        self.change(baker, "cash", self.cash[baker], self.cash[baker].value - cost + earned, bought)

    def expand(self, baker: str, morning: EventRef | None) -> None:
        decided = self.decide(
            baker, "ovens", 1, 2, morning, description=f"{baker} sells out every day: a second oven, on credit"
        )
        self.borrow(baker, 150, decided)
        self.change(baker, "cash", self.cash[baker], self.cash[baker].value - 150, decided)
        self.sales[baker] = 44.0

    def borrow(self, baker: str, amount: float, cause: Causes) -> None:
        debt, cash = self.debt[baker], self.cash[baker]
        lent = self.act("bank", "lend", {"to": baker, "amount": round(amount, 1)}, cause)
        self.change(baker, "debt", debt, debt.value + amount, [lent, debt.event])
        self.change(baker, "cash", cash, cash.value + amount, lent)

    def review_loans(self) -> None:
        for baker in BAKERS:
            debt = self.debt[baker]
            if baker in self.closed or debt.value <= CREDIT_LIMIT:
                continue
            called = self.decide("bank", f"credit of {baker}", "open", "called in", debt.event)
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
                    caused_by=due,
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
        self, agent: str, what: str, old: Any, new: Any, cause: Causes, *, description: str | None = None
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


def simulate(run: Run, *, seed: int = 4) -> Town:
    """Live through all days of a town, recording into `run`; the same seed gives the same story."""
    town = Town(run, random.Random(seed))
    town.live()
    return town
