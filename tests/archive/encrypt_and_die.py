"""Encrypts every sealed segment of an archive and kills itself before the n-th call of one kind.

Usage: encrypt_and_die.py ARCHIVE PUBLIC_KEY CALL N
"""

import os
import signal
import sys
from pathlib import Path

from whence.archive.recovery import recover


def main() -> None:
    archive, key, call, left = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    real = getattr(os, call)

    def counted(*arguments: object, **named: object) -> object:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*arguments, **named)

    setattr(os, call, counted)
    assert all(repair.kind != "failed" for repair in recover(archive, encrypt_to=[key]))


main()
