"""The processor `resource`: changes the attributes of resources."""

from collections.abc import Callable

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.processors.actions import Action, act
from whence.collect.processors.demands import Some
from whence.collect.records.walk import Place, Visit, rewritten
from whence.collect.settings import Settings


class ResourceSettings(Settings):
    """Actions in their order, for every resource."""

    attributes: Some[Action]


def build(settings: ResourceSettings, host: Host, next: Consumer) -> Callable[[Batch], Batch | None]:
    """The processor."""
    run = act(settings.attributes)

    def process(batch: Batch) -> Batch | None:
        def change(place: Place) -> bool:
            run(place.resource.attributes, batch.metadata)
            return True

        return rewritten(batch, Visit(resource=change))

    return process


PLUG = Plug(ResourceSettings, build)
