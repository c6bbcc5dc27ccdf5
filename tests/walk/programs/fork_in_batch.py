"""Forks inside a batch. Usage: fork_in_batch.py ARCHIVE"""

import os
import sys

import whence

whence.configure(archive=sys.argv[1], run="r", metrics=False)
with whence.batch():
    whence.log("before")
    child = os.fork()
    whence.log("in the parent" if child else "in the child")
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert whence.shutdown(30).complete
