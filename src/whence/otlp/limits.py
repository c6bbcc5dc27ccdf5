"""How large and how deep a line of the archive may be, each number with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What an encoder keeps to."""

    line_bytes: int = 1 << 20
    """A line as readers can hold it in memory without thinking. A single record larger than this has a line of its own."""
    records_per_line: int = 128
    """Few enough that reading one record parses little else and a torn line costs little; many enough that the resource,
    repeated in each line, weighs nothing."""
    depth: int = 32
    """Levels of AnyValue, the outermost included: 31 maps inside each other and what they hold. Protobuf parsers stop at
    100 nested messages; a map takes three, and an attribute of a span event starts at the seventh."""


DEFAULT = Limits()
