"""What an answer to a sent request means, and how long to wait before it is sent again.

The law: pure. Retrying only where OTLP says that it can help; a backend's own wish counts, up to `LONGEST`.
Source: OTLP specification 1.11, "OTLP/gRPC Response", "OTLP/gRPC Throttling", "OTLP/HTTP Response", "OTLP/HTTP Throttling".
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import orjson
from google.protobuf.message import DecodeError
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from whence.collect.settings import RetryOnFailure
from whence.otlp.response import partial_of
from whence.otlp.service import is_worth_again_grpc, is_worth_again_http
from whence.otlp.wire import Signal

LONGEST: Final = 300.0
"""Seconds: no backend makes a sender wait longer before it asks again."""
_SHOWN: Final = 500
"""Characters of a backend's words in ours."""


class Sent(NamedTuple):
    """Everything arrived."""

    message: str = ""
    """A warning of the backend's."""


class PartiallyRejected(NamedTuple):
    """It arrived, but for `rejected` items, which must not be sent again."""

    rejected: int
    message: str


class Retry(NamedTuple):
    """Not now. `after`: seconds that the backend asks for."""

    reason: str
    after: float | None = None


class GivenUp(NamedTuple):
    """Never: sending it again is no use."""

    reason: str
    in_parts: bool = False
    """Whether it may be what is in it, so that parts of it may be taken."""


_HTTP_CONTENT: Final = frozenset((400, 413, 422, 500))
_GRPC_CONTENT: Final = frozenset((Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED, Code.INTERNAL, Code.UNKNOWN))

Verdict = Sent | PartiallyRejected | Retry | GivenUp


def judge_http(signal: Signal, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
    """What an HTTP answer means. `headers`: names in lower case; `now`: seconds since the epoch."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if 200 <= status < 300:
        return judge_response(signal, body, as_json=kind == "application/json")
    said = _message(kind, body)
    reason = f"the backend answered {status}" + (f": {said}" if said else "")
    if is_worth_again_http(status):
        return Retry(reason, retry_after(headers.get("retry-after"), now))
    if 300 <= status < 400:
        return GivenUp(f"{reason}; redirects are not followed: set the endpoint to where it points")
    return GivenUp(reason, status in _HTTP_CONTENT)


def judge_grpc(code: int, message: str, details: bytes | None) -> Verdict:
    """What a gRPC failure means. `details`: the trailer `grpc-status-details-bin`."""
    name = Code.Name(code) if code in Code.values() else str(code)
    reason = f"the backend answered {name}" + (f": {_short(message)}" if message else "")
    after = retry_delay(details)
    if is_worth_again_grpc(name, says_when=after is not None):
        return Retry(reason, after)
    return GivenUp(reason, code in _GRPC_CONTENT)


def judge_response(signal: Signal, body: bytes, *, as_json: bool = False) -> Sent | PartiallyRejected:
    """What the body of a success says. One that cannot be read is a success without a word: the status has said it."""
    rejected, message = partial_of(signal, body, "json" if as_json else "protobuf")
    message = _short(message)
    return PartiallyRejected(rejected, message) if rejected > 0 else Sent(message)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds of a Retry-After header, which is seconds or a date; None where it is neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST)
    try:
        return min(max(parsedate_to_datetime(text).timestamp() - now, 0.0), LONGEST)
    except (ValueError, TypeError, OverflowError):
        return None


def retry_delay(details: bytes | None) -> float | None:
    """Seconds of a RetryInfo in a `google.rpc.Status`; None where there is none."""
    try:
        for detail in Status.FromString(details or b"").details:
            info = RetryInfo()
            if detail.Is(RetryInfo.DESCRIPTOR) and detail.Unpack(info):
                delay = info.retry_delay
                return min(max(float(delay.seconds + delay.nanos / 1e9), 0.0), LONGEST)
    except DecodeError:
        pass
    return None


def next_wait(
    settings: RetryOnFailure, failures: int, elapsed: float, after: float | None, chance: float
) -> float | None:
    """Seconds to wait after this many failures in `elapsed` seconds; None: give up. `chance`: from 0 to 1, the jitter."""
    if not settings.enabled:
        return None
    try:
        grown = settings.initial_interval * settings.multiplier ** (failures - 1)
    except OverflowError:
        grown = settings.max_interval
    wait = min(grown, settings.max_interval) * (1 + settings.randomization_factor * (2 * chance - 1))
    wait = max(wait, after or 0.0)
    if settings.max_elapsed_time and elapsed + wait > settings.max_elapsed_time:
        return None
    return wait


def _message(kind: str, body: bytes) -> str:
    """What a failure's Status says, or its text."""
    try:
        if kind == "application/x-protobuf":
            return _short(Status.FromString(body).message)
        if kind == "application/json":
            return _short(str(orjson.loads(body)["message"]))
    except (DecodeError, ValueError, KeyError, TypeError):
        pass
    return _short(body[:_SHOWN].decode("utf-8", "replace")) if kind == "text/plain" else ""


def _short(text: str) -> str:
    return " ".join(text[:_SHOWN].split())
