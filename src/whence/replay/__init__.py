"""Replay: the events of an archive given again, in their order, at a pace: into a function, onto a stream, or as OTLP.

The law: `pace.py` decides when what is due and is pure; `player.py` only does it. An event is given before its place is kept,
so that a restart may repeat the last ones and never leaves one out.
"""
