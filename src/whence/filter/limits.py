"""How much a filter may ask, so that no text whatever can exhaust the program that reads it.

The law: every limit of the language is here, with its reason.
"""

from typing import Final

TEXT_BYTES: Final = 64 << 10
"""A filter's length in UTF-8: far beyond any that people write, and read in well under a second."""
DEPTH: Final = 100
"""Levels of brackets and NOT: matching, printing and SQL go as deep as the tree, and Python ends at 1,000 calls."""
ITEMS: Final = 10_000
"""Values in one IN."""
REGEX_STEPS: Final = 2_000
"""Instructions of a compiled regular expression: RE2 looks at each at most once a character, so 64 KiB of text take tens
of milliseconds at the worst."""
KEYS: Final = 64
"""Levels of a dotted path: no value in an event is nested deeper."""
INTEGERS: Final = range(-(1 << 63), 1 << 63)
"""The whole numbers an event can hold."""
