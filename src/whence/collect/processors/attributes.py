"""The processor `attributes`: changes the attributes of log records, spans and data points."""

from collections.abc import Callable

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.processors.actions import Action, act
from whence.collect.processors.demands import Some
from whence.collect.processors.match import Matching, chosen
from whence.collect.records.walk import Place, Visit, rewritten


class AttributesSettings(Matching):
    """Actions in their order, for the records chosen."""

    actions: Some[Action]


def build(settings: AttributesSettings, host: Host, next: Consumer) -> Callable[[Batch], Batch | None]:
    """The processor."""
    run, meant = act(settings.actions), chosen(settings)

    def process(batch: Batch) -> Batch | None:
        def change(place: Place) -> bool:
            if meant is None or meant(place):
                of = place.inner if place.inner is not None else place.record
                if of is not None:
                    run(of.attributes, batch.metadata)
            return True

        return rewritten(batch, Visit(inner=change) if batch.signal == "metrics" else Visit(record=change))

    return process


PLUG = Plug(AttributesSettings, build)
