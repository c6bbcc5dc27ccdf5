"""How a batch fails: refused for now, or unacceptable for good; and what several consumers' outcomes are together.

The law: pure. Anything raised that is neither of these is trouble of our own: logged, and answered as refused.
"""

from collections.abc import Sequence
from typing import ClassVar

from whence.collect.batch import Receipt
from whence.errors import DataError, Fault, WhenceError


class Refused(WhenceError):
    """Not now: the same batch can be taken later. `retry_after`: seconds, where that is known.

    Receivers answer 503 (429 with `throttled`) with Retry-After, or UNAVAILABLE with RetryInfo.
    """

    fault: ClassVar[Fault] = "machine"
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, retry_after: float | None = None, throttled: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.throttled = throttled


class Unacceptable(DataError):
    """Never: the sender must not send this batch again. Receivers answer 400 or INVALID_ARGUMENT."""


def together(receipts: Sequence[Receipt], failures: Sequence[Exception]) -> Receipt:
    """What a sender is told where a batch went to several consumers; each of them got it.

    Raises Refused where any refused (who took it gets it again with the retry: at least once), else any trouble of our own,
    else Unacceptable. Of receipts, the one that rejected most counts: the same records are rejected everywhere.
    """
    if failures:
        raise worst(failures)
    if not receipts:
        return Receipt()
    rejected = max(receipts, key=lambda receipt: receipt.rejected)
    return rejected if rejected.message else next((receipt for receipt in receipts if receipt.message), rejected)


def worst(failures: Sequence[Exception]) -> Exception:
    """The failure that a sender must hear of: one it can retry before one it cannot."""
    refused = [failure for failure in failures if isinstance(failure, Refused)]
    if refused:
        return max(refused, key=lambda failure: failure.retry_after or 0.0)
    return next((failure for failure in failures if not isinstance(failure, DataError)), failures[0])
