"""Leaving in any format: a table of formats, one file for each kind of them.

The law: a format's `write` takes what is to be written and an open binary file, and knows nothing of paths or terminals.
"""
