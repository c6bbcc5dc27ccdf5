"""How requests are answered: OTLP's responses and `google.rpc.Status`, in protobuf and JSON.

The law: pure. A full success is empty; every failure is a Status in the request's own encoding; answers stay small.
Source: OTLP specification 1.11, "Full Success", "Partial Success", "Failures".
"""

import math
from typing import Any, Final, NamedTuple

import orjson
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from whence.collect.batch import Receipt
from whence.otlp.response import Partial, response_of
from whence.otlp.wire import Encoding, Signal

TYPES: Final[dict[Encoding, bytes]] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}
"""Content types of answers."""
_LONGEST: Final = 4_096
"""Characters of a message: an answer must stay below 4 MiB whatever is in it."""
_TRAILER: Final = 800
"""Bytes of a message over gRPC, where it is sent three times, once with up to three bytes for one."""
_NAMES: Final = {
    400: Code.INVALID_ARGUMENT, 401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED, 404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED, 413: Code.RESOURCE_EXHAUSTED, 415: Code.INVALID_ARGUMENT, 429: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
}  # fmt: skip


class Failure(NamedTuple):
    """A request that was not taken. `retry_after`: in seconds; None where sending it again is no use."""

    http: int
    message: str
    retry_after: float | None = None
    challenge: str = "Bearer"
    """With 401: how to say who one is."""
    closes: bool = False
    """Whether the connection is of no more use."""

    def shortened(self) -> "Failure":
        """With a message that fits into the trailers of a gRPC answer, which clients limit to 8 KiB."""
        return self._replace(message=self.message.encode("utf-8", "replace")[:_TRAILER].decode("utf-8", "ignore"))

    @property
    def code(self) -> int:
        """As `google.rpc.Code`."""
        return int(_NAMES.get(self.http, Code.INTERNAL))

    @property
    def retry_seconds(self) -> int | None:
        """For Retry-After, which knows whole seconds only."""
        return None if self.retry_after is None else max(1, math.ceil(self.retry_after))


def success(signal: Signal, receipt: Receipt, encoding: Encoding) -> bytes:
    """The response to a request that was taken, whole or in part."""
    return response_of(signal, Partial(receipt.rejected, receipt.message[:_LONGEST]), encoding)


def failure(fault: Failure, encoding: Encoding) -> bytes:
    """The body of an HTTP answer that is none of success."""
    message = fault.message[:_LONGEST]
    if encoding == "json":
        details = [_json(detail) for detail in _details(fault)]
        said = {"code": fault.code, "message": message}
        return orjson.dumps(said | ({"details": details} if details else {}))
    return status_of(fault)


def status_of(fault: Failure) -> bytes:
    """The whole Status in protobuf, with what the sender can do: which time to wait, or what was wrong."""
    status = Status(code=fault.code, message=fault.message[:_LONGEST])
    for detail in _details(fault):
        packed = Packed()
        packed.Pack(detail)
        status.details.append(packed)
    return bytes(status.SerializeToString())


def _details(fault: Failure) -> list[RetryInfo | BadRequest]:
    if fault.retry_after is not None:
        wait = Duration(seconds=int(fault.retry_after), nanos=int(fault.retry_after % 1 * 1e9))
        return [RetryInfo(retry_delay=wait)]
    if fault.code == Code.INVALID_ARGUMENT:
        violation = BadRequest.FieldViolation(field="request", description=fault.message[:_LONGEST])
        return [BadRequest(field_violations=[violation])]
    return []


def _json(detail: RetryInfo | BadRequest) -> dict[str, Any]:
    """A detail as protobuf's JSON has an Any."""
    return {"@type": f"type.googleapis.com/{detail.DESCRIPTOR.full_name}", **MessageToDict(detail)}
