"""The processor `memory_limiter`: refuses while the process holds more memory than it may, so that senders wait.

Above the soft limit (limit less spike) batches are refused with the time to come back; above the hard limit what is no longer
used is collected as well, at most every ten seconds.
"""

import gc
import os
import threading
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from whence.collect.batch import Batch, Receipt
from whence.collect.component import HEALTHY, Consumer, Health, Host, Plug
from whence.collect.outcome import Refused
from whence.collect.settings import MIB, Duration, Settings
from whence.collect.telemetry import ITEMS
from whence.event.misfits import Misfit

_SPIKE: Final = 0.2
"""Of the limit, where no spike is given: as in the Collector."""
_COLLECT_EVERY: Final = 10.0
_NO_LIMIT: Final = 1 << 60


class MemoryLimiterSettings(Settings):
    """Limits, absolute or in percent of the memory that the process may have."""

    check_interval: Duration = 0.0
    limit_mib: int = Field(0, ge=0)
    spike_limit_mib: int = Field(0, ge=0)
    limit_percentage: int = Field(0, ge=0, le=100)
    spike_limit_percentage: int = Field(0, ge=0, le=100)
    min_gc_interval_when_soft_limited: Duration = _COLLECT_EVERY
    min_gc_interval_when_hard_limited: Duration = _COLLECT_EVERY

    @model_validator(mode="after")
    def _limits(self) -> "MemoryLimiterSettings":
        if self.check_interval <= 0:
            raise Misfit("check_interval must be set and greater than zero: 1s is a good value")
        if not self.limit_mib and not self.limit_percentage:
            raise Misfit("limit_mib or limit_percentage must be set")
        if self.limit_mib and self.spike_limit_mib >= self.limit_mib:
            raise Misfit("spike_limit_mib must be less than limit_mib")
        if not self.limit_mib and self.spike_limit_percentage >= self.limit_percentage:
            raise Misfit("spike_limit_percentage must be less than limit_percentage")
        return self


def limits(settings: MemoryLimiterSettings, available: int) -> tuple[int, int]:
    """The soft and the hard limit in bytes, of a process that may have `available` bytes."""
    if settings.limit_mib:
        hard, spike = settings.limit_mib * MIB, settings.spike_limit_mib * MIB
    else:
        hard, spike = available * settings.limit_percentage // 100, available * settings.spike_limit_percentage // 100
    return hard - (spike or int(hard * _SPIKE)), hard


class MemoryLimiter:
    """Looks at the process's memory every `check_interval`, in its own thread."""

    def __init__(self, settings: MemoryLimiterSettings, host: Host, next: Consumer) -> None:
        self._settings = settings
        self._host = host
        self._next = next
        self._over = False
        self._held = 0
        self._collected = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._soft, self._hard = limits(settings, memory_available())

    def start(self, host: Host) -> None:
        """Looks once, then again and again."""
        self.look()
        self._thread = threading.Thread(target=self._watch, name=self._host.id, daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Looks no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - self._host.monotonic()))

    def health(self) -> Health:
        """Not well while it refuses."""
        if not self._over:
            return HEALTHY
        return Health(False, f"refuses: {self._held // MIB} MiB held, soft limit {self._soft // MIB} MiB")

    def consume(self, batch: Batch) -> Receipt:
        """Passes a batch on. Raises Refused above the soft limit."""
        items, labels = ITEMS[batch.signal], {"processor": self._host.id}
        if self._over:
            self._host.telemetry.count(f"otelcol_processor_memory_limiter_refused_{items}", batch.count(), **labels)
            raise Refused(
                f"cannot take more: {self._held // MIB} MiB of memory are held, of {self._soft // MIB}; try again later",
                retry_after=max(1.0, self._settings.check_interval),
            )
        receipt = self._next.consume(batch)
        self._host.telemetry.count(f"otelcol_processor_memory_limiter_accepted_{items}", batch.count(), **labels)
        return receipt

    def look(self) -> None:
        """Compares what is held with the limits."""
        self._held = memory_held()
        soft_limited = self._held >= self._soft
        hard_limited = self._held >= self._hard
        settings, now = self._settings, self._host.monotonic()
        every = (
            settings.min_gc_interval_when_hard_limited if hard_limited else settings.min_gc_interval_when_soft_limited
        )
        if soft_limited and now - self._collected >= every:
            gc.collect()
            self._collected, self._held = now, memory_held()
            soft_limited = self._held >= self._soft
        if soft_limited != self._over:
            words = "refuses batches" if soft_limited else "takes batches again"
            self._host.log.warning(
                "%s %s: %d MiB of memory held, soft limit %d MiB, hard limit %d MiB",
                self._host.id, words, self._held // MIB, self._soft // MIB, self._hard // MIB,
            )  # fmt: skip
        self._over = soft_limited

    def _watch(self) -> None:
        while not self._stop.wait(self._settings.check_interval):
            self.look()


def memory_held() -> int:
    """Bytes of memory that this process holds."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_available() -> int:
    """Bytes that this process may have: of the machine, or of its control group where that has less."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(file).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(number for number in found if 0 < number < _NO_LIMIT)


PLUG = Plug(MemoryLimiterSettings, MemoryLimiter)
