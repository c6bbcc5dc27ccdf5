"""Where output goes: how wide it is, whether it takes colour; and the few styles there are.

The law: pure; `output.py` finds out about the real terminal.
"""

from dataclasses import dataclass
from typing import Final, Literal

Style = Literal["strong", "dim", "error", "warning", "good", "milestone", "decision", "state", "lane"]

_CODES: Final[dict[Style, str]] = {
    "strong": "1",
    "dim": "2",
    "error": "31",
    "warning": "33",
    "good": "32",
    "milestone": "1;36",
    "decision": "35",
    "state": "34",
    "lane": "36",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """`width` in columns, or None where lines are never cut (a pipe or a file); `colour` as ANSI codes."""

    width: int | None = None
    colour: bool = False

    def paint(self, text: str, style: Style | None) -> str:
        """The text in a style, or as it is where there is no colour."""
        if not self.colour or style is None or not text:
            return text
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m"
