"""The system calls that the archive is made of, where several threads make them at once."""

import os
import threading
from pathlib import Path

from whence.archive.folder import names_in, open_group


def test_threads_that_list_one_open_folder_each_see_all_of_it(tmp_path: Path) -> None:
    """Also at the same moment: a name that is skipped would be a segment that is taken for missing."""
    with open_group(tmp_path, "group", make=True) as folder:
        expected = {f"file-{n}" for n in range(300)}
        for name in expected:
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        begin = threading.Barrier(4)
        wrong: list[set[str]] = []

        def look() -> None:
            begin.wait(90)
            for _ in range(200):
                found = set(names_in(folder))
                if found != expected:
                    wrong.append(expected - found)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not wrong
