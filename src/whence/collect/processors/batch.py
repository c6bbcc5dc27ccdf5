"""The processor `batch`: accepted for the sake of the Collector's configurations; batching is done in the exporters' queues.

In the Collector it acknowledges what it only holds in memory. Here a batch goes straight on, and its sender hears what
became of it; requests are put together where they are sent (`sending_queue: {batch: ...}`) and stored (group commit).
"""

from collections.abc import Callable

from pydantic import Field

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.settings import Duration, Settings


class BatchSettings(Settings):
    """The Collector's keys."""

    timeout: Duration = 0.2
    send_batch_size: int = Field(8192, ge=0)
    send_batch_max_size: int = Field(0, ge=0)
    metadata_keys: tuple[str, ...] = ()
    metadata_cardinality_limit: int = Field(1000, ge=0)


def build(settings: BatchSettings, host: Host, next: Consumer) -> Callable[[Batch], Batch | None]:
    """The processor, which says once what it does instead."""
    host.log.info(
        "%s passes batches on at once: nothing is acknowledged that is only in memory; "
        "requests are put together in the exporters' queues (sending_queue: {batch: ...})",
        host.id,
    )
    return lambda batch: batch


PLUG = Plug(BatchSettings, build)
