"""The index: a columnar sidecar of every segment, the graph of all causes, and the engine that answers from both.

The law: a cache. Everything here can be deleted at any time, is made again from the archive, and never changes an answer.
"""
