"""`forward`: the exporter of some pipelines and the receiver of others, for the same signal."""

from collections.abc import Mapping

from whence.collect.batch import Batch, Receipt
from whence.collect.component import HEALTHY, Consumer, Health, Host, Plug
from whence.collect.settings import Settings
from whence.otlp.wire import Signal


class Forward:
    """Hands on what it gets; the receipt comes from the far end."""

    def __init__(self, settings: Settings, host: Host, outputs: Mapping[Signal, Consumer]) -> None:
        self._outputs = outputs

    def start(self, host: Host) -> None:
        """Nothing to do."""

    def stop(self, deadline: float) -> None:
        """Nothing runs."""

    def health(self) -> Health:
        """Nothing can go wrong."""
        return HEALTHY

    def consume(self, batch: Batch) -> Receipt:
        """To every pipeline that begins here."""
        return self._outputs[batch.signal].consume(batch)


PLUG = Plug(Settings, Forward)
