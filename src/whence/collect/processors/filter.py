"""The processor `filter`: drops what matches, in whence's filter language or in OTTL conditions.

`keep` and `drop` ask about records: a span goes with its events, and metrics, which are no events, pass.
"""

from collections.abc import Callable

from pydantic import field_validator

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.records.events import asked, first_events
from whence.collect.records.walk import Place, Visit, rewritten
from whence.collect.settings import Settings
from whence.errors import FilterError
from whence.filter.match import Matcher

Process = Callable[[Batch], Batch | None]


class FilterSettings(Settings):
    """What is dropped. An event that `keep` is not true for goes, also where that hangs on a value it does not have."""

    keep: str | None = None
    drop: str | None = None

    @field_validator("keep", "drop")
    @classmethod
    def _can_be_asked(cls, text: str | None) -> str | None:
        try:
            if text is not None:
                asked(text, lambda: 0)
        except FilterError as problem:
            raise ValueError(str(problem)) from None
        return text


def build(settings: FilterSettings, host: Host, next: Consumer) -> Process:
    """The processor."""
    steps: list[Process] = []
    if settings.keep is not None:
        steps.append(_asking(host, asked(settings.keep, host.now), keep=True))
    if settings.drop is not None:
        steps.append(_asking(host, asked(settings.drop, host.now), keep=False))

    def process(batch: Batch) -> Batch | None:
        left: Batch | None = batch
        for step in steps:
            if left is None:
                break
            left = step(left)
        return left

    return process


def _asking(host: Host, give: Callable[[], Matcher], *, keep: bool) -> Process:
    def process(batch: Batch) -> Batch | None:
        if batch.signal == "metrics":
            return batch
        test, events = give(), first_events(batch.opened().tree or {}, host.id)

        def stays(place: Place) -> bool:
            event = next(events, None)
            return (event is not None and test(event) is True) is keep

        return rewritten(batch, Visit(record=stays))

    return process


PLUG = Plug(FilterSettings, build)
