"""What is said now and then."""

from whence.collect.seldom import Seldom


def test_each_thing_is_said_at_once_and_again_only_after_a_while() -> None:
    """By a clock of one's own: another thing has its own while."""
    now = [100.0]
    is_to_be_said = Seldom(lambda: now[0], every=10.0)
    assert is_to_be_said("refused") and is_to_be_said("overflow")
    now[0] = 109.9
    assert not is_to_be_said("refused") and not is_to_be_said("overflow")
    now[0] = 110.0
    assert is_to_be_said("refused") and not is_to_be_said("refused")


def test_things_without_end_take_no_memory_without_end() -> None:
    """A name each, as file names are: after a thousand, old ones are forgotten."""
    is_to_be_said = Seldom(lambda: 0.0)
    assert all(is_to_be_said(str(n)) for n in range(1000))
    assert not is_to_be_said("999")
    assert is_to_be_said("1000") and is_to_be_said("0")
