"""The processor `redaction`: what goes, what is hidden, in every place; and what detectors hit and leave alone."""

import hashlib
import hmac
import json
import random
from typing import Any

import pytest
from pydantic import ValidationError

from build_processors import (
    SPAN,
    TRACE,
    a_host,
    a_log,
    a_span,
    attributes,
    body,
    logs,
    metrics,
    process,
    records,
    resource_of,
    spans,
)
from whence.collect.processors.detectors import DETECTORS
from whence.collect.processors.redaction import RedactionSettings
from whence.event.ids import next_ulid, ulid_text

CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "5555-5555-5555-4444",
    "378282246310005",
    "6011111111111117",
    "30569309025904",
]
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
RANDOM = random.Random(4).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=40)
ALNUM = "".join(RANDOM)

HITS: list[tuple[str, str, str]] = [
    ("email", "mail ada.lovelace+x@mail.example.co.uk now", "mail **** now"),
    ("email", "<ada@example.org>", "<****>"),
    ("email", "from=ada@example.org;", "****;"),
    *(("card", f"card {card}, thanks", "card ****, thanks") for card in CARDS),
    ("aws", "key AKIAIOSFODNN7EXAMPLE.", "key ****."),
    ("github", "ghp_" + ALNUM[:36], "****"),
    ("github", "token github_pat_" + ALNUM[:30], "token ****"),
    ("gitlab", "glpat-" + ALNUM[:20], "****"),
    ("slack", "xoxb-" + "1234567890-abcdefghij", "****"),
    ("slack", "POST https://hooks.slack.com/services/" + "T00000000/B00000000/" + ALNUM[:24],
     "POST https://hooks.slack.com/services/****"),
    ("stripe", "sk_" + "live_" + ALNUM[:24], "****"),
    ("google", "AIza" + ALNUM[:35], "****"),
    ("npm", "npm_" + ALNUM[:36], "****"),
    ("openai", "sk-" + ALNUM, "****"),
    ("jwt", f"cookie={JWT}", "cookie=****"),
    ("bearer", f"Authorization: Bearer {ALNUM}", "Authorization: Bearer ****"),
    ("bearer", "authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic ****"),
    ("url_credentials", "postgres://app:s3cret@db:5432/x", "postgres://app:****@db:5432/x"),
    ("assigned_secret", "login user=ada password='hunter2!' ok", "login user=ada password='****' ok"),
    ("assigned_secret", '{"api_key": "12345678"}', '{"api_key": "****"}'),
    ("private_key", "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\nx\n-----END RSA PRIVATE KEY----- b", "a **** b"),
    ("private_key", "a -----BEGIN OPENSSH PRIVATE KEY-----\ncut off", "a ****"),
    ("ipv4", "from 192.0.2.7:443 and http://10.1.2.3/x", "from ****:443 and http://****/x"),
    ("ipv6", "peer 2001:db8::8a2e:370:7334 up", "peer **** up"),
    ("ipv6", "[fe80::1ff:fe23:4567:890a]:80", "[****]:80"),
    ("phone", "call +1 (202) 555-0143 or +49 30 901820", "call **** or ****"),
    ("phone", "(202) 555-0143", "****"),
    ("high_entropy", f"key {ALNUM}", "key ****"),
]  # fmt: skip


def masked(text: str, *detectors: str) -> Any:
    settings = {"allow_all_keys": True, "detectors": detectors}
    return body(records(process("redaction", settings, logs(a_log(text))))[0])


@pytest.mark.parametrize(("detector", "text", "seen"), HITS)
def test_a_detector_hides_what_it_is_for(detector: str, text: str, seen: str) -> None:
    """And nothing around it."""
    assert masked(text, detector) == seen


def test_every_detector_has_a_hit() -> None:
    """One that is added comes with its line."""
    assert {one.name for one in DETECTORS} == {name for name, _, _ in HITS}


def ordinary() -> list[str]:
    chance = random.Random(7)
    ulids = [ulid_text(next_ulid(0, chance.getrandbits(41), chance.getrandbits(80))) for _ in range(300)]
    traces = [f"{chance.getrandbits(128):032x}" for _ in range(300)]
    span_ids = [f"{chance.getrandbits(64):016x}" for _ in range(300)]
    uuids = [f"{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:]}" for t in traces]
    times = [str(1767225600_000000000 + chance.getrandbits(58)) for _ in range(300)]
    millis = [str(1767225600_000 + chance.getrandbits(38)) for _ in range(100)]
    floats = [str(chance.random()) for _ in range(300)] + [f"{chance.random() * 1e6:.10f}" for _ in range(100)]
    spans_ = [f"span:{t}-{s}" for t, s in zip(traces, span_ids, strict=True)]
    return [*ulids, *traces, *span_ids, *uuids, *times, *millis, *floats, *spans_]


PLAIN = [
    "2026-01-20T10:00:32.123456789Z", "2026-01-20 10:00:32,123 +0100", "10:00:32", "12:34:56.789",
    "2026-01-01T00:00:00+01:00", "v1.2.3.4", "version 1.2.3.4", "Chrome/120.0.6099.71", "nginx/1.25.3",
    "numpy==1.26.4.1", "1.2.3.4.5", "release 10.0.0.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "127.0.0.1:8080", "0.0.0.0", "::1", "std::vector<int>", "whence::collect::ottl", "a::b", "de::ad::be",
    "00:1a:2b:3c:4d:5e", "00:11:22:33:44:55:66:77", "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "sha256:ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12ab12", "@decorator", "user@host",
    "gen_ai.usage.input_tokens=812", "tokens: 812", "key=value", "a secret garden", "the password is wrong",
    "pass: ok", "bearer of news", "GET /orders/4111?page=2 HTTP/1.1", "order 4111111111111112",
    "4111.1111111111111111", "+0100", "1e+10", "5-6-7", "2026-01-20", "http://localhost:4318/v1/traces",
    "s3://bucket/some/long/path/with/many/parts/2026/01/20", "/usr/lib/python3.11/site-packages/x.py",
    "ThisIsAVeryLongCamelCaseIdentifierInSomeJavaCode", "some_very_long_snake_case_identifier_in_some_code",
    "3.11.2-1+deb12u5", "AKIA is short", "eyJ", "sk-learn-is-a-python-library", "ghp_short", "123-45-6789",
    "100-200-300", "1-800", "turn 5 begins: agent a7 chose 'price' (0.25 -> 0.30)",
    "HTTP 503 after 3 retries in 1250.5ms", "#4111", "x=1,y=-2.5",
]  # fmt: skip


def test_ordinary_data_is_left_alone() -> None:
    """Ids, times, numbers, versions, paths and code: by every detector, the eager one too."""
    wrong = [text for text in [*ordinary(), *PLAIN] if masked(text, "all", "high_entropy") != text]
    assert wrong == []


SECRET = "ada@example.org"


def everywhere() -> list[Any]:
    """A batch of each signal with the secret in every place that text can stand in."""
    nest = {"a": {"b": [1, {"c": f"x {SECRET} y"}]}, SECRET: 1, "raw": SECRET.encode(), "plain": SECRET}
    event = {"name": SECRET, "timeUnixNano": "1", "attributes": a_log("", nest)["attributes"]}
    link = {"traceId": TRACE, "spanId": SPAN, "attributes": a_log("", nest)["attributes"]}
    point = {"asInt": "1", "exemplars": [{"asInt": "1", "filteredAttributes": a_log("", nest)["attributes"]}]}
    point["attributes"] = a_log("", nest)["attributes"]
    span = a_span(SECRET, nest, events=[event], links=[link], status={"code": 2, "message": SECRET})
    metric = {
        "name": SECRET,
        "description": SECRET,
        "metadata": a_log("", nest)["attributes"],
        "gauge": {"dataPoints": [point]},
    }
    return [
        logs(a_log(nest, nest, eventName=SECRET), a_log(SECRET), a_log([SECRET]), resource=nest, scope=SECRET),
        spans(span, resource=nest, scope=SECRET),
        metrics(metric, resource=nest, scope=SECRET),
    ]


@pytest.mark.parametrize("batch", everywhere(), ids=["logs", "traces", "metrics"])
def test_there_is_no_place_where_a_secret_stays(batch: Any) -> None:
    """Not in a body, a nested key, bytes, a link, an exemplar, or a name."""
    import base64

    hidden = base64.b64encode(SECRET.encode()).decode()
    assert SECRET in json.dumps(batch.tree)
    after = process("redaction", {"allow_all_keys": True, "detectors": ["email"], "summary": "debug"}, batch)
    text = json.dumps(after.tree)
    assert SECRET not in text
    assert hidden not in text
    assert "x **** y" in text


def test_without_allowed_keys_everything_goes_except_what_links_events() -> None:
    """Fails closed; ids and causes are no secrets."""
    batch = logs(a_log("x", {"a": 1, "log.record.uid": "01KDVT0000000000000000000A", "whence.caused_by": ["x"]}))
    after = process("redaction", {}, batch)
    assert attributes(records(after)[0]) == {"log.record.uid": "01KDVT0000000000000000000A", "whence.caused_by": ["x"]}
    assert resource_of(after) == {}


def test_allowed_ignored_and_blocked_keys() -> None:
    """Ignored keys are not looked at; blocked ones are hidden whole, nested ones too."""
    settings = {
        "allowed_keys": ["a", "service.name", "my_token", "n"],
        "ignored_keys": ["free"],
        "blocked_key_patterns": ["(?i)token"],
        "blocked_values": ["4[0-9]{12}(?:[0-9]{3})?"],
        "summary": "debug",
    }
    given = {
        "a": "v 4111111111111111 w",
        "b": 1,
        "free": "4111111111111111",
        "my_token": 5,
        "n": {"Token": "x", "y": "z"},
    }
    found = attributes(records(process("redaction", settings, logs(a_log("x", given))))[0])
    assert found == {
        "a": "v **** w", "free": "4111111111111111", "my_token": "****", "n": {"Token": "****", "y": "z"},
        "redaction.redacted.count": 1, "redaction.redacted.keys": "b",
        "redaction.masked.count": 3, "redaction.masked.keys": "a,my_token,n",
    }  # fmt: skip


def test_what_is_allowed_beats_what_is_blocked() -> None:
    """By the whole text's value."""
    settings = {"allow_all_keys": True, "detectors": ["email"], "allowed_values": ["@whence\\.dev$"]}
    given = {"a": "info@whence.dev", "b": "ada@example.org"}
    assert attributes(records(process("redaction", settings, logs(a_log("x", given))))[0]) == {**given, "b": "****"}


def test_a_hash_stands_for_the_same_value_always() -> None:
    """With a key, nobody without it can try values out."""
    for function, digest in (
        ("sha1", hashlib.sha1(SECRET.encode()).hexdigest()),
        ("md5", hashlib.md5(SECRET.encode()).hexdigest()),
        ("sha3", hashlib.sha3_256(SECRET.encode()).hexdigest()),
        ("hmac-sha256", hmac.new(b"k", SECRET.encode(), "sha256").hexdigest()),
    ):
        settings = {"allow_all_keys": True, "detectors": ["email"], "hash_function": function, "hmac_key": "k"}
        assert body(records(process("redaction", settings, logs(a_log(f"to {SECRET}"))))[0]) == f"to {digest}"


def test_numbers_are_looked_at_where_all_types_are_meant() -> None:
    """A card number as a whole number."""
    given = {"n": 4111111111111111, "m": 5}
    settings = {"allow_all_keys": True, "detectors": ["card"]}
    batch = logs(a_log("x", given))
    assert process("redaction", settings, batch) is batch
    after = process("redaction", {**settings, "redact_all_types": True}, batch)
    assert attributes(records(after)[0]) == {"n": "****", "m": 5}


def test_nothing_to_hide_gives_the_very_batch_and_counts_nothing() -> None:
    """And something to hide is counted."""
    host = a_host("redaction")
    batch = logs(a_log("x", {"a": 1}))
    assert process("redaction", {"allow_all_keys": True, "detectors": ["all"]}, batch, host) is batch
    assert host.telemetry.families() == []
    process("redaction", {"allow_all_keys": True, "detectors": ["all"]}, logs(a_log(SECRET)), host)
    assert [(one.name, one.samples[0].value) for one in host.telemetry.families()] == [
        ("whence_processor_redaction_masked", 1)
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"detectors": ["mail"]}, "did you mean 'email'"),
        ({"blocked_values": ["("]}, "not a regular expression"),
        ({"hash_function": "hmac-sha256"}, "needs an hmac_key"),
        ({"blocked_valuess": []}, "blocked_valuess"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(settings: dict, said: str) -> None:
    """Before anything starts."""
    with pytest.raises(ValidationError, match=said):
        RedactionSettings.model_validate(settings)


HOSTILE = ["a" * 65536, "1 " * 32768, "@" * 65536, "+1-" * 20000, "::1" * 20000, "-----BEGIN PRIVATE KEY-----" * 2000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_takes_linear_time(text: str) -> None:
    """64 KB of almost-hits: done, within the test's own limit of time."""
    assert isinstance(masked(text, "all", "high_entropy"), str)
