"""Children by multiprocessing, which end without a flush or a shutdown of their own.

Usage: workers.py ARCHIVE WAY COUNT, where WAY is `fork`, `spawn` (each child configures for itself) or `pool` (forked, reused).
"""

import multiprocessing
import sys
import threading

import whence


def settings(archive: str) -> dict[str, object]:
    return {"archive": archive, "run": "workers", "metrics": False}


def work(archive: str, way: str, number: int) -> int:
    if way == "spawn":
        whence.configure(**settings(archive))
    for step in range(20):
        whence.log("worker.step", {"number": number, "step": step})
    return number


def main(archive: str, way: str, count: int) -> None:
    whence.configure(**settings(archive))
    over = threading.Event()

    def chatter() -> None:
        while not over.wait(0.001):
            whence.log("chatter")

    thread = threading.Thread(target=chatter)
    thread.start()
    context = multiprocessing.get_context("spawn" if way == "spawn" else "fork")
    if way == "pool":
        with context.Pool(2) as pool:
            assert sorted(pool.starmap(work, [(archive, way, n) for n in range(count)])) == list(range(count))
            pool.close()
            pool.join()
    else:
        children = [context.Process(target=work, args=(archive, way, n)) for n in range(count)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0, child.exitcode
    over.set()
    thread.join()
    assert whence.shutdown(30).complete


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
