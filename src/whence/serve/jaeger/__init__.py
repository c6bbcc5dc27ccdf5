"""Jaeger's own interfaces over the archive: what Jaeger, its UI and Grafana's Jaeger data source ask, answered from the index.

The law: a span is found and shown as Jaeger shows it; an event that is no span appears by projection and is never stored so.
"""
