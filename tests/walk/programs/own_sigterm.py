"""Has a SIGTERM handler of its own before it asks whence for one. Usage: own_sigterm.py ARCHIVE"""

import os
import signal
import sys
import threading

import whence

signal.signal(signal.SIGTERM, lambda *_: whence.log("my own handler"))
whence.configure(archive=sys.argv[1], run="r", metrics=False, handle_sigterm=True)
os.kill(os.getpid(), signal.SIGTERM)


def elsewhere() -> None:
    try:
        whence.configure(archive=sys.argv[1], run="r", handle_sigterm=True)
    except whence.ConfigError as wrong:
        print(wrong)


thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
whence.log("after")
