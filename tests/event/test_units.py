"""Sizes and durations are read as people write them, and nothing else is taken for one."""

from typing import Any

import pytest

from whence.event.units import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("64 MiB", 64 << 20), ("1.5kb", 1500), ("7", 7), (7, 7), ("1GiB", 1 << 30), ("0.1b", 0)],
)
def test_sizes(text: Any, size: int) -> None:
    """KB counts in thousands, KiB in 1024s."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("1h", 3600),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("0.5", 0.5),
        (3, 3.0),
        ("10 s", 10),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    """Plain numbers are seconds; several units add up."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "MB", "5 apples", "-5MB", "1MB 2KB", "1.2.3", "٣MB", True, None, [], 1.5, "9" * 200, "9999999TiB"]
)
def test_what_is_no_size(text: Any) -> None:
    """The error says what one looks like."""
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "h", "5 apples", "-5s", "1h 30", "1.2.3s", True, None, [], "9" * 200])
def test_what_is_no_duration(text: Any) -> None:
    """The error says what one looks like."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
