"""What becomes of a request's bytes: handed to the pipelines, and the outcome in the words of either transport.

The law: whatever the client did wrong is said to be the client's, whatever a retry can help is said to be worth one, and no
exception passes.
"""

import logging
from collections.abc import Iterable
from typing import Final

from whence.collect.batch import LEVELS, Batch, Receipt
from whence.collect.component import Consumer
from whence.collect.outcome import Refused
from whence.collect.receivers.status import Failure
from whence.errors import DataError
from whence.otlp.wire import Encoding

RETRY: Final = 1.0
"""Seconds after which to come again, where nobody knows better."""
OVERLOADED: Final = Failure(503, "cannot take the request: too many bytes are being worked on; send it again", RETRY)


def hand_in(output: Consumer | None, batch: Batch, log: logging.Logger) -> Receipt | Failure:
    """The receipt of a batch, or why there is none. Never raises."""
    if output is None:
        return Failure(404, f"cannot take {batch.signal}: no pipeline of this collector has {batch.signal} from here")
    try:
        if not batch.data:
            return Receipt()
        receipt = output.consume(batch)
        return _warned(batch, receipt) if batch.encoding == "json" else receipt
    except Refused as refusal:
        wait = RETRY if refusal.retry_after is None else refusal.retry_after
        return Failure(429 if refusal.throttled else 503, str(refusal), wait)
    except DataError as fault:
        return Failure(400, str(fault))
    except Exception:
        log.exception("cannot process a request of %s", batch.signal)
        return Failure(503, "cannot take the request: trouble inside the collector; see its log", RETRY)


def _warned(batch: Batch, receipt: Receipt) -> Receipt:
    """With a warning where JSON of some other kind was sent, which the rule of unknown fields makes a success of nothing."""
    name = LEVELS[batch.signal][0]
    if (
        receipt.message
        or batch.count()
        or f'"{name}"'.encode() in (batch.data or b"")
        or (batch.data or b"").strip() == b"{}"
    ):
        return receipt
    return receipt.__class__(
        0, f"the request has no {name}, so nothing was recorded: is it OTLP JSON of {batch.signal}?"
    )


def several(headers: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Headers as a batch's metadata: a name may be there more than once."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def encoding_of(content_type: str) -> Encoding | None:
    """The encoding that a Content-Type names; None for any other."""
    kind = content_type.partition(";")[0].strip().lower()
    return "protobuf" if kind == "application/x-protobuf" else "json" if kind == "application/json" else None
