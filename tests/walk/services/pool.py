"""Twenty squares in a pool of processes, caused by an event of this one. `pool.py fork|spawn ARCHIVE`."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from opentelemetry import trace

import whence


def begin(archive: str) -> None:
    """What a spawned worker needs, as every new process does; a forked one goes on recording by itself."""
    if multiprocessing.get_start_method(allow_none=True) != "fork":
        whence.configure(archive=archive, run="pool", metrics=False)


def square(carrier: dict[str, str], number: int) -> whence.EventRef:
    with whence.carried(carrier):
        ref = whence.log("square", {"of": number, "is": number * number, "pid": os.getpid()})
        assert ref is not None
        return ref


def main(method: str, archive: str) -> None:
    multiprocessing.set_start_method(method)
    whence.configure(archive=archive, run="pool", metrics=False)
    asked = whence.log("squares.asked")
    with whence.because(asked), trace.get_tracer("pool").start_as_current_span("squares"):
        carrier = whence.carry()
        with ProcessPoolExecutor(2, initializer=begin, initargs=(archive,)) as pool:
            squares = list(pool.map(partial(square, carrier), range(20)))
    whence.log("squares.summed", caused_by=squares)


if __name__ == "__main__":
    main(*sys.argv[1:])
