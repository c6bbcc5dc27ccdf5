"""The archive on disk: one directory of plain files, written crash-safe, read by anyone.

The law: the files are the truth and nothing here keeps a second one. Whoever holds the `flock` on a segment may change it;
readers change nothing; nobody appends to another process's file; nothing is deleted before its copy was read back.
"""
