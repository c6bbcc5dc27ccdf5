"""Serving: one archive, open to browsers, scripts, Jaeger and Grafana, while others write it.

The law: nothing leaves but what its caller may see: every door asks `visible_to` before the engine and `shown_to` after it.
Nothing here writes events; the archive is read, never changed. `record` is never imported.
"""
