"""A market of sellers and buyers on the Mesa library, in which the shop with the most customers goes bankrupt.

    pip install 'whence[mesa]'
    python examples/mesa_market.py

One call, `record_model`, records it: turns, agents' steps, changes of the named variables. The model itself says only what no
recorder can know: what an agent looked at when it decided (`decided`), and what it does within a step (`acting`).

Then ask (the example prints the bankruptcy's id):

    whence why ID                             # from the closed door back to the frost
    whence log --type decision --agent discounter
    whence log --kind milestone
    whence effects $(whence log --agent weather --type action --json | grep frost | jq -r .id)
"""

import os
import sys

import mesa

import whence
from whence.integrations.mesa import acting, decided, record_model

TURNS = 30
BUYERS = 40
FROST = 8
"""The turn in which the harvest freezes, and wholesale prices double."""
BULK = 200
"""Who buys as much at once pays a tenth less."""


class Weather(mesa.Agent):
    """Makes the harvest, and so what sellers pay for their goods."""

    name = "weather"

    def step(self):
        if self.model.steps == FROST:
            with acting(self, "frost", {"degrees": -9}):
                self.model.wholesale *= 2


class Seller(mesa.Agent):
    """Sells at what the goods cost, and a margin."""

    def __init__(self, model, name, shelf=60):
        super().__init__(model)
        self.name = name
        self.shelf = shelf
        self.cash = 500.0
        self.stock = 0
        self.paid = model.wholesale
        self.price = round(self.paid * 1.3, 2)

    def step(self):
        self.restock()
        self.set_price(round(self.paid * 1.3, 2), looked_at=[(self, "paid")])

    def restock(self):
        if self.stock > BUYERS:
            return
        bought = self.shelf - self.stock
        each = self.model.wholesale * (0.9 if bought >= BULK else 1)
        looked_at = [(self, "stock"), (self.model, "wholesale")]
        with acting(self, "restock", {"bought": bought, "each": each}, looked_at=looked_at):
            self.stock += bought
            self.paid = each
            self.cash = round(self.cash - bought * self.paid, 2)

    def set_price(self, price, looked_at):
        if price != self.price:
            decided(self, "price", self.price, price, looked_at=looked_at)
            self.price = price

    def sell(self):
        self.stock -= 1
        self.cash = round(self.cash + self.price, 2)


class Discounter(Seller):
    """Is always a little cheaper than the cheapest other shop, whatever the goods cost."""

    def step(self):
        self.restock()
        rival = min((seller for seller in self.model.sellers if seller is not self), key=lambda seller: seller.price)
        self.set_price(round(rival.price - 0.05, 2), looked_at=[(rival, "price")])
        if self.cash < 0:
            decided(self, "open", True, False, looked_at=[(self, "cash"), (self, "price")])
            self.model.close(self)


class Buyer(mesa.Agent):
    """Looks at a few shops, and buys at the cheapest of them that has something left."""

    def step(self):
        shops = [seller for seller in self.random.sample(self.model.sellers, k=3) if seller.stock > 0]
        if not shops:
            return
        best = min(shops, key=lambda seller: seller.price)
        with acting(self, "buy", {"from": best.name, "price": best.price}, looked_at=[(best, "price")]):
            best.sell()


class Market(mesa.Model):
    """One good, six shops, forty buyers, and the weather."""

    def __init__(self, seed=None):
        super().__init__(seed=seed)
        self.wholesale = 4.0
        Weather(self)
        for number in range(1, 5):
            Seller(self, f"grocer-{number}")
        Seller(self, "hoarder", shelf=400)
        Discounter(self, "discounter")
        Buyer.create_agents(self, BUYERS)

    @property
    def sellers(self):
        return [agent for agent in self.agents if isinstance(agent, Seller)]

    def step(self):
        for kind in (Weather, Seller, Discounter, Buyer):
            if kind in self.agents_by_type:
                self.agents_by_type[kind].shuffle_do("step")
        self.running = self.steps < TURNS

    def close(self, seller):
        """A shop closes for good: what there is to ask about."""
        whence.phase_transition(
            "open",
            "bankrupt",
            agent=seller.name,
            turn=self.steps,
            description=f"{seller.name}, the cheapest shop in town, is bankrupt",
            caused_by=self.story.last(seller, "open"),
        )
        seller.remove()


def main():
    archive = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WHENCE_ARCHIVE", "whence-archive")
    whence.configure(archive=archive, verbosity="state")
    closed = []
    whence.on("phase_transition", closed.append)
    model = Market(seed=7)
    model.story = record_model(
        model, agent_variables=("price", "cash", "stock", "paid"), model_variables=("wholesale",)
    )
    model.run_model()
    report = whence.shutdown()
    print(f"{model.steps} turns, {report.stored} events in {archive}")
    for event in closed:
        print(f"turn {event.turn}: {event.description}. Ask: whence why {event.id} --archive {archive}")


if __name__ == "__main__":
    main()
