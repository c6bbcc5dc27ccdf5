"""Speed, loss and memory beside the peers'. `make bench` runs `python -m benchmarks.record`; docs/performance.md reads it.

Every figure comes from a cell: one measurement in a fresh process, repeated and interleaved with the others, since a busy
machine's noise is larger than most differences. Nothing here fails on a time.
"""
