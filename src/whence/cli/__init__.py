"""The `whence` command: each group of commands is one small file, loaded only when one of its commands is used.

The law: deciding and drawing are pure; doing is thin. Whatever is printed has been made safe to print by `text`.
"""

from whence.cli.app import main

__all__ = ["main"]  # the console script's entry point
