"""The check digit of card numbers (ISO/IEC 7812, the Luhn formula).

The law: pure.
"""

from typing import Final

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_card_number(text: str, shortest: int = 13, longest: int = 19) -> bool:
    """Whether the digits of a text, spaces and hyphens left out, end in the right check digit."""
    digits = text.replace(" ", "").replace("-", "")
    if not (shortest <= len(digits) <= longest and digits.isascii() and digits.isdigit()):
        return False
    numbers = [int(digit) for digit in reversed(digits)]
    return sum(_DOUBLED[number] if n % 2 else number for n, number in enumerate(numbers)) % 10 == 0
