"""What is posted to a webhook: events in their flat form, parted into bodies, each with an id, a signature and a bound.

The law: pure; `now` is given. The same queued bytes always give the same bodies and ids, so that a receiver that was sent one
twice can tell. Source of headers and signature: Standard Webhooks 1.0 (webhook-id, webhook-timestamp, webhook-signature).
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from whence.collect.exporters.retry import GivenUp, Retry, Sent, Verdict, retry_after
from whence.event.flat import to_flat
from whence.event.model import Event
from whence.export.flat_json import json_bytes

Send = Literal["batch", "each"]
"""Several events in a request, `{"events": [...]}`, or one, which is then the whole body."""

_SYMMETRIC: Final = "whsec_"
_ASYMMETRIC: Final = "whsk_"
_LEAST: Final = 16
"""Bytes of a secret at least."""
_NONCE: Final = b"#"
"""Begins the line before the events that came together; no JSON begins so."""
_OPEN, _SHUT = b'{"events":[', b"]}"
_LARGE: Final = ("payload", "attributes", "resource", "scope", "caused_by", "description")
"""What is left out of an event that is too large, in this order."""
_NAME: Final = 256
"""Characters of any other field of an event that is too large all the same."""
_LATER: Final = frozenset((408, 425, 429))
_OF_THE_BODY: Final = frozenset((400, 413, 415, 422))
"""Answers that say something of this body, and nothing of the next."""


class Delivery(NamedTuple):
    """One request."""

    id: str
    body: bytes
    events: int


def packed(events: Iterable[Event], nonce: bytes, most: int) -> bytes:
    """Events as they are queued: lines, after one with the `nonce`, which no other events get. None is larger than `most`."""
    lines = [_NONCE + nonce.hex().encode(), *(line_of(event, most) for event in events)]
    return b"".join(line + b"\n" for line in lines)


def line_of(event: Event, most: int) -> bytes:
    """An event in its flat form; where that has more than `most` bytes, without its largest fields, which `left_out` names."""
    flat = to_flat(event)
    found = json_bytes(flat)
    left_out: list[str] = []
    for name in _LARGE:
        if len(found) <= most:
            return found
        if flat.pop(name, None) is not None:
            left_out.append(name)
            found = json_bytes(flat | {"left_out": left_out})
    if len(found) <= most:
        return found
    short = {name: value[:_NAME] if isinstance(value, str) else value for name, value in flat.items()}
    return json_bytes(short | {"left_out": left_out})


def deliveries(data: bytes, send: Send, most_events: int, most_bytes: int) -> Iterator[Delivery]:
    """The requests that queued events make: in their order, none of more events or bytes than these but for single events."""
    some: list[bytes] = []
    keys = hashlib.sha256()
    size = 0
    for key, line in _keyed(data):
        if some and (send == "each" or len(some) >= most_events or size + len(line) + 1 > most_bytes):
            yield _delivery(keys, some, send)
            some, keys = [], hashlib.sha256()
        if not some:
            size = len(_OPEN) + len(_SHUT)
        some.append(line)
        keys.update(key)
        size += len(line) + 1
    if some:
        yield _delivery(keys, some, send)


def _keyed(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each event's line, with what no other one has."""
    nonce, number = b"", 0
    for line in data.splitlines():
        if line.startswith(_NONCE):
            nonce, number = line, 0
            continue
        yield b"%s.%d\n" % (nonce, number), line
        number += 1


def _delivery(keys: Any, lines: Sequence[bytes], send: Send) -> Delivery:
    body = lines[0] if send == "each" else _OPEN + b",".join(lines) + _SHUT
    return Delivery(f"msg_{keys.hexdigest()[:32]}", body, len(lines))


def key_of(secret: str) -> bytes:
    """What is signed with: `whsec_` and base64, or any other text as it is. Raises ValueError."""
    if secret.startswith(_ASYMMETRIC):
        raise ValueError("a symmetric secret, such as whsec_ and base64: private keys (whsk_) are not supported")
    if not secret.startswith(_SYMMETRIC):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(_SYMMETRIC), validate=True)
        except ValueError:
            raise ValueError("base64 after whsec_") from None
    if len(key) < _LEAST:
        raise ValueError(f"a secret of at least {_LEAST} bytes, such as whsec_ and 32 random bytes in base64")
    return key


def headers_for(delivery: Delivery, keys: Sequence[bytes], now: int) -> dict[str, str]:
    """The headers of one attempt; a signature for each key, so that keys can be changed. `now`: seconds since the epoch."""
    found = {"webhook-id": delivery.id, "webhook-timestamp": str(now)}
    if keys:
        signed = f"{delivery.id}.{now}.".encode() + delivery.body
        digests = (hmac.digest(key, signed, "sha256") for key in keys)
        found["webhook-signature"] = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return found


def judge_answer(status: int, headers: Mapping[str, str], now: float) -> Verdict:
    """What an answer means. `headers`: names in lower case; `now`: seconds since the epoch."""
    if 200 <= status < 300:
        return Sent()
    reason = f"the webhook answered {status}"
    if status >= 500 or status in _LATER:
        return Retry(reason, retry_after(headers.get("retry-after"), now))
    if 300 <= status < 400:
        return GivenUp(f"{reason}; redirects are not followed: set the endpoint to where it points")
    return GivenUp(reason, in_parts=status in _OF_THE_BODY)
