"""What a substitution gave is what its field wants: text, a number, a switch, a map; and nothing of how it was written stays."""

import pickle
from typing import Any

import pytest

from whence.collect.settings import Secret, Settings
from whence.collect.written import Written, WrittenFloat, WrittenInt, plain, settled, written


class Inner(Settings):
    """Settings within."""

    text: str = ""


class Wants(Settings):
    """A field of each kind."""

    text: str | None = None
    number: int = 0
    share: float = 0.0
    switch: bool = False
    any: Any = None
    either: int | str | bool | None = None
    texts: tuple[str, ...] = ()
    named: dict[str, Secret] | None = None
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("field", "given", "got"),
    [
        ("text", WrittenInt(7, "007"), "007"),
        ("text", WrittenFloat(1.0, "1.00"), "1.00"),
        ("text", Written(True, "true"), "true"),
        ("text", Written({"a": "b"}, "a: b"), "a: b"),
        ("text", Written(None, ""), ""),
        ("number", WrittenInt(7, "007"), 7),
        ("share", WrittenInt(7, "7"), 7.0),
        ("switch", Written(False, "false"), False),
        ("any", WrittenFloat(1.5, "1.50"), 1.5),
        ("any", Written([WrittenInt(1, "01")], "[01]"), [1]),
        ("either", WrittenInt(7, "007"), 7),
        ("either", Written(True, "true"), True),
        ("texts", Written([WrittenInt(1, "01"), "b"], "[01, b]"), ("01", "b")),
        ("texts", [Written(True, "yes")], ("yes",)),
        ("inner", Written({"text": WrittenInt(1, "01")}, "text: 01"), Inner(text="01")),
    ],
)
def test_a_field_gets_what_it_wants(field: str, given: Any, got: Any) -> None:
    """And exactly that type, with no memory of its text."""
    found = getattr(Wants.model_validate({field: given}), field)
    assert found == got and type(found) is type(got)
    if isinstance(found, list):
        assert [type(one) for one in found] == [int]


def test_secrets_in_maps_are_texts() -> None:
    """Each value of `headers`, whatever it looks like."""
    found = Wants.model_validate({"named": {"a": WrittenInt(1, "01"), "b": Written(True, "true")}}).named
    assert found
    assert {key: value.get_secret_value() for key, value in found.items()} == {"a": "01", "b": "true"}


def test_what_was_written_can_go_to_another_process() -> None:
    """With its text."""
    for value, text in ((7, "007"), (1.5, "1.50"), (True, "true"), ({"a": 1}, "a: 1")):
        again = pickle.loads(pickle.dumps(written(value, text)))
        assert again.text == text and plain(again) == value
        assert settled(str, again) == (text if not isinstance(again, int | float) else again)
