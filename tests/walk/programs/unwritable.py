"""Configures as a user who may not write where the archive is to be.

Usage: unwritable.py ARCHIVE. Everything is imported before the rights are given away.
"""

import os
import sys

from whence import StorageError, configure

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    configure(archive=sys.argv[1])
except StorageError as trouble:
    print(trouble)
