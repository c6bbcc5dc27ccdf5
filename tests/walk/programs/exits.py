"""Records, and comes to its end in one of many ways.

Usage: exits.py ARCHIVE HOW
"""

import asyncio
import atexit
import logging
import sys
import threading

import whence

archive, how = sys.argv[1:3]


def emit(count: int, who: str = "main") -> None:
    for n in range(count):
        whence.log("step", {"who": who, "n": n})


def emit_for_ever(who: str) -> None:
    n = 0
    while True:
        whence.log("step", {"who": who, "n": n})
        n += 1


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


async def task(number: int) -> None:
    with whence.because(whence.log("task.begin", {"number": number})):
        await asyncio.sleep(0)
        await asyncio.to_thread(whence.log, "in_a_thread", {"number": number})
        whence.log("task.end", {"number": number})


async def tasks() -> None:
    await asyncio.gather(*(task(number) for number in range(50)))
    asyncio.get_running_loop().create_task(asyncio.sleep(60))  # cancelled by the end


atexit.register(lambda: whence.log("after whence's end") if how == "atexit" else None)
whence.configure(archive=archive, run="r", metrics=False)
atexit.register(lambda: emit(10, "atexit") if how == "atexit" else None)

match how:
    case "normal" | "atexit":
        emit(1_000)
    case "exception":
        emit(100)
        raise ValueError("planted")
    case "unprintable":
        raise Unprintable
    case "durable":
        whence.configure(archive=archive, run="r", metrics=False, durability="durable")
        emit(5)
        raise ValueError("planted")
    case "thread":
        thread = threading.Thread(target=lambda: 1 / 0, name="unlucky")
        thread.start()
        thread.join()
        emit(10)
    case "exit":
        emit(100)
        sys.exit(3)
    case "daemons":
        for number in range(4):
            threading.Thread(target=emit_for_ever, args=(f"daemon{number}",), daemon=True).start()
        emit(200)
    case "asyncio":
        asyncio.run(tasks())
    case "logging":
        logging.getLogger("app").error("going", exc_info=ValueError("planted"))
        logging.shutdown()
