"""Encrypts every sealed segment of an archive and kills itself before the n-th call of one kind.

Usage: encrypt_and_die.py ARCHIVE PUBLIC_KEY CALL N
"""

import sys
from pathlib import Path

from dying import die_before

from whence.archive.recovery import recover


def main() -> None:
    archive, key, call, left = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    die_before(call, left)
    assert all(repair.kind != "failed" for repair in recover(archive, encrypt_to=[key]))


main()
