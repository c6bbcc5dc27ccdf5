"""Forks, again and again, while other threads emit, log, trace and flush; each child does all of that too.

Usage: forks.py ARCHIVE FORKS. Children leave by os._exit after a flush, every third by the interpreter's normal end. A child
that hangs shows where, and ends with another code than 0.
"""

import faulthandler
import logging
import os
import sys
import threading

from opentelemetry import trace

import whence

PATIENCE = 60


def do_everything(who: str, n: int) -> None:
    with trace.get_tracer(who).start_as_current_span(f"{who}.work") as span:
        span.set_attribute("n", n)
        whence.log(f"{who}.step", {"n": n})
    logging.getLogger(who).warning("step %d", n)
    with whence.batch():
        whence.log(f"{who}.first", {"n": n})
        whence.log(f"{who}.second", {"n": n})


def keep_busy(over: threading.Event, who: str) -> None:
    n = 0
    while not over.is_set():
        do_everything(who, n)
        n += 1
        if n % 50 == 0:
            whence.flush(10)
        over.wait(0.002)


def be_a_child(number: int) -> None:
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    do_everything("child", number)
    if number % 3 == 0:
        sys.exit(0 if whence.shutdown(30).complete else 1)
    os._exit(0 if whence.flush(30) else 1)


def main() -> int:
    forks = int(sys.argv[2])
    whence.configure(archive=sys.argv[1], run="forks")
    logging.getLogger().addHandler(logging.NullHandler())
    over = threading.Event()
    threads = [threading.Thread(target=keep_busy, args=(over, f"parent{n}")) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        fork_again_and_again(forks)
    finally:
        over.set()
    for thread in threads:
        thread.join()
    return int(not whence.shutdown(30).complete)


def fork_again_and_again(forks: int) -> None:
    children: list[int] = []
    for number in range(forks):
        child = os.fork()
        if child == 0:
            be_a_child(number)
        children.append(child)
        if len(children) == 6:
            wait_for(children)
    wait_for(children)


def wait_for(children: list[int]) -> None:
    for child in children:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == 0, f"a child ended with {status}"
    children.clear()


sys.exit(main())
