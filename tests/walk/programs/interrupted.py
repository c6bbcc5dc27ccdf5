"""Records on its main thread faster than a queue of four places is drained, until a signal ends it.

Usage: interrupted.py DIRECTORY ACKNOWLEDGED [SETTING=VALUE ...]. Prints `ready`; each event whose emit returned has its number
in the file ACKNOWLEDGED.
"""

import itertools
import os
import sys

import whence

settings = dict(pair.split("=", 1) for pair in sys.argv[3:])
whence.configure(archive=sys.argv[1], run="r", queue_size=4, when_full="block", metrics=False, **settings)
told = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print("ready", flush=True)
for n in itertools.count():
    whence.log("step", {"n": n})
    os.write(told, b"%d\n" % n)
