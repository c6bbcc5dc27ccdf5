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
    """Levels of nested maps or arrays in a value. Protobuf parsers stop at 100 nested messages, which 32 maps just keep to."""


DEFAULT = Limits()
