"""Tempo's interfaces over the archive: what Grafana's Tempo data source asks, below /tempo, answered from the index.

The law: TraceQL becomes the one filter tree; what of it whence does not know is refused by name, never left out.
"""
