"""Removes the first two segments of an archive and kills itself before the n-th call of one kind.

Usage: retain_and_die.py ARCHIVE CALL N
"""

import sys
from pathlib import Path

from dying import die_before

from whence.archive.removal import remove, survey
from whence.archive.retention import Policy, plan

NOW = 1_800_000_000 * 10**9


def main() -> None:
    archive, call, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    everything = plan([one for one, _ in survey(archive)], Policy(total_bytes=0), NOW).going
    going = sorted(everything, key=lambda removal: removal.holding.stem)[:2]
    die_before(call, left)
    assert all(result.trouble is None for result in remove(archive, going, NOW, lambda _: None))


main()
