"""Records some events, has them on disk, and leaves without ending anything, as a killed program does.

Usage: left_behind.py ARCHIVE RUN COUNT
"""

import os
import sys

import whence

whence.configure(archive=sys.argv[1], run=sys.argv[2], metrics=False)
for n in range(int(sys.argv[3])):
    whence.log("step", {"n": n})
    assert whence.flush(30)
os._exit(0)
