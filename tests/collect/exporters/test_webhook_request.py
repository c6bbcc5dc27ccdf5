"""What is posted to a webhook: the same queue gives the same requests, within their bounds, signed as Standard Webhooks says."""

import base64
from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.collect.exporters.retry import GivenUp, Retry, Sent
from whence.collect.exporters.webhook_request import (
    Delivery,
    Send,
    deliveries,
    headers_for,
    judge_answer,
    key_of,
    line_of,
    packed,
)
from whence.event.flat import to_flat
from whence.event.model import Event

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def an_event(id_: str, **fields: object) -> Event:
    """An event with these fields."""
    return Event(id=id_, type="t", time=1, **fields)  # type: ignore[arg-type]


def ids_in(body: bytes) -> list[str]:
    """Of the events in a body of either form."""
    found = orjson.loads(body)
    return [event["id"] for event in found.get("events", [found])]


def test_the_signature_is_the_standards() -> None:
    """The example that Standard Webhooks libraries are tested with."""
    delivery = Delivery("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1)
    assert headers_for(delivery, [key_of(SECRET)], 1614265330) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_several_secrets_give_several_signatures_and_none_gives_none() -> None:
    """So that a secret can be changed at one end after the other."""
    delivery = Delivery("msg_1", b"{}", 1)
    both = headers_for(delivery, [key_of(SECRET), key_of("another secret of 24 byte")], 5)["webhook-signature"]
    alone = [
        headers_for(delivery, [key_of(one)], 5)["webhook-signature"] for one in (SECRET, "another secret of 24 byte")
    ]
    assert both.split() == alone
    assert "webhook-signature" not in headers_for(delivery, [], 5)


@pytest.mark.parametrize(
    ("secret", "said"), [("whsec_???", "base64"), ("short", "at least 16 bytes"), ("whsk_" + "a" * 40, "not supported")]
)
def test_what_is_no_secret_is_refused(secret: str, said: str) -> None:
    """With what would be one; the secret itself is not repeated."""
    with pytest.raises(ValueError, match=said) as refused:
        key_of(secret)
    assert secret not in str(refused.value)
    assert key_of("whsec_" + base64.b64encode(b"k" * 32).decode()) == b"k" * 32


@given(
    st.lists(st.lists(st.integers(0, 2000), max_size=6), max_size=4),
    st.sampled_from(["batch", "each"]),
    st.integers(1, 5),
    st.integers(1024, 4096),
)
def test_every_event_goes_once_within_the_bounds(sizes: list[list[int]], send: Send, most: int, limit: int) -> None:
    """However many came together, in their order; and what is queued gives the same requests each time it is asked."""
    queued, expected = b"", []
    for group, lengths in enumerate(sizes):
        events = [an_event(f"{group}-{n}", description="x" * length) for n, length in enumerate(lengths)]
        expected += [event.id for event in events]
        queued += packed(events, bytes([group]), limit - 16)
    found = list(deliveries(queued, send, most, limit))
    assert [id_ for one in found for id_ in ids_in(one.body)] == expected
    assert all(len(one.body) <= limit and 1 <= one.events <= (1 if send == "each" else most) for one in found)
    assert all(one.events == len(ids_in(one.body)) for one in found)
    assert len({one.id for one in found}) == len(found)
    assert found == list(deliveries(queued, send, most, limit))


def test_equal_events_that_came_apart_have_ids_of_their_own() -> None:
    """A receiver that drops what it knows must not drop what happened twice."""
    event = an_event("same")
    first, second = (next(iter(deliveries(packed([event], nonce, 9000), "batch", 9, 9000))) for nonce in (b"a", b"b"))
    assert first.body == second.body and first.id != second.id


def test_an_event_that_is_too_large_goes_without_its_largest_fields() -> None:
    """It says which; a small one is whole."""
    small = an_event("small", payload={"a": 1})
    assert orjson.loads(line_of(small, 1000)) == to_flat(small)
    large = an_event("large", payload={"a": "x" * 5000}, description="kept")
    assert orjson.loads(line_of(large, 1000)) == {
        **{name: value for name, value in to_flat(large).items() if name != "payload"}, "left_out": ["payload"]
    }  # fmt: skip
    endless = an_event("y" * 5000, description="x" * 5000, agent="z" * 3000)
    found = line_of(endless, 1000)
    assert len(found) <= 1000 and orjson.loads(found)["left_out"] == ["description"]


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (200, {}, Sent()),
        (204, {}, Sent()),
        (429, {"retry-after": "7"}, Retry("the webhook answered 429", 7.0)),
        (503, {}, Retry("the webhook answered 503", None)),
        (500, {}, Retry("the webhook answered 500", None)),
        (408, {}, Retry("the webhook answered 408", None)),
        (400, {}, GivenUp("the webhook answered 400", in_parts=True)),
        (410, {}, GivenUp("the webhook answered 410")),
        (401, {}, GivenUp("the webhook answered 401")),
    ],
)
def test_what_an_answer_means(status: int, headers: Mapping[str, str], verdict: object) -> None:
    """Later, never, or never this one."""
    assert judge_answer(status, headers, 0.0) == verdict


def test_a_redirect_is_not_followed_and_says_so() -> None:
    """It would carry events and tokens to somewhere else."""
    verdict = judge_answer(302, {"location": "http://169.254.169.254"}, 0.0)
    assert isinstance(verdict, GivenUp) and "set the endpoint to where it points" in verdict.reason
