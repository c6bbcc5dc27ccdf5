"""Forks, again and again, while four threads emit: each child emits a little too. `forks.py ARCHIVE FORKS`."""

import os
import sys
import threading

import whence

PER_CHILD = 5


def main(archive: str, forks: str) -> int:
    whence.configure(archive=archive, run="forks", metrics=False)
    over = threading.Event()

    def chatter() -> None:
        while not over.wait(0.0005):
            whence.log("chatter")

    threads = [threading.Thread(target=chatter) for _ in range(4)]
    for thread in threads:
        thread.start()
    failed = 0
    for number in range(int(forks)):
        child = os.fork()
        if child == 0:
            for step in range(PER_CHILD):
                whence.log("child", {"number": number, "step": step})
            os._exit(0 if whence.shutdown(20).complete else 1)
        failed += os.waitpid(child, 0)[1] != 0
    over.set()
    for thread in threads:
        thread.join()
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
