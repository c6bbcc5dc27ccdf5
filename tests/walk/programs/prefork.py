"""A server as gunicorn is one: a master configures and forks workers; a worker that dies is replaced; SIGTERM ends them all.

Usage: prefork.py ARCHIVE. Workers take requests (lines) from one pipe. The master, once every request is answered, kills one
worker with SIGKILL, replaces it, has more requests answered, and ends the workers with SIGTERM.
"""

import os
import select
import signal
import sys
from contextlib import suppress

import whence

REQUESTS = 40

inbox, outbox = os.pipe()
answers, answer = os.pipe()


def worker() -> int:
    child = os.fork()
    if child:
        return child
    os.close(outbox)
    os.write(answer, b"here")  # Python forgets what signals came before
    while number := taken():
        whence.log("request", {"number": int(number)})
        whence.flush(30)
        os.write(answer, number)
    sys.exit(0)


def taken() -> bytes:
    while True:
        select.select([inbox], [], [], 1)  # a signal that comes just before it waits is heard after that
        with suppress(BlockingIOError):  # another worker was quicker
            return os.read(inbox, 4)


def begun(workers: int) -> None:
    for _ in range(workers):
        assert os.read(answers, 4) == b"here"


def serve(numbers: range) -> None:
    for number in numbers:
        os.write(outbox, b"%04d" % number)
    for _ in numbers:
        assert os.read(answers, 4)


whence.configure(archive=sys.argv[1], run="server", metrics=False, handle_sigterm=True)
whence.log("before the fork")  # still queued when the workers begin: it must not be written by them too
os.set_blocking(inbox, False)
workers = [worker() for _ in range(3)]
begun(3)
serve(range(REQUESTS))
os.kill(workers[0], signal.SIGKILL)
os.waitpid(workers[0], 0)
workers[0] = worker()
begun(1)
serve(range(REQUESTS, 2 * REQUESTS))
for child in workers:
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 143
assert whence.shutdown(30).complete
