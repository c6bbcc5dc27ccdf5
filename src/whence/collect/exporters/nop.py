"""The exporter `nop`: takes everything and keeps nothing, to try out what stands before it."""

from whence.collect.batch import ACCEPTED, Batch, Receipt
from whence.collect.component import Host, Plug
from whence.collect.settings import Settings


class NopSettings(Settings):
    """There are none."""


class Nop:
    """Keeps nothing."""

    def consume(self, batch: Batch) -> Receipt:
        """Gone."""
        return ACCEPTED


def build(settings: NopSettings, host: Host) -> Nop:
    """The exporter."""
    return Nop()


PLUG = Plug(NopSettings, build)
