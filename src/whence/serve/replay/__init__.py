"""Replays over HTTP: begun, listed, paused, stepped, moved and ended, each with a stream of its own.

The law: what is replayed is what its maker may see; each who listens is given of that what they may see.
"""
