"""Ready-made typed events: one file a vocabulary, listed in `event/registry.py`; docs/events.md is made from them.

The law: pure models. A type is named `<thing>.<what happened to it>` (the simulation's, older, have their own names); what
failed is an ERROR; durations are milliseconds, in `duration_ms`; lengths say of what in their name.
"""
