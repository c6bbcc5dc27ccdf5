"""Live: an archive's events as they come, to any number of subscribers, over Server-Sent Events, WebSocket and polling.

The law: an archive is read by one thread, decoded once, and each event is given to each subscriber once. Whatever a
subscriber did not get it is told: how many, from when to when, and the place from which it can be had again.
"""
