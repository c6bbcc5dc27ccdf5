"""Small disks for tests of what the archive does in trouble."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from build_disks import a_disk

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a tmpfs with the given options (`size=256k`) and gives its directory; skips, with the reason, where it cannot."""
    number = count()
    with ExitStack() as mounted:
        yield lambda options: mounted.enter_context(a_disk(tmp_path / f"mount-{next(number)}", options))
