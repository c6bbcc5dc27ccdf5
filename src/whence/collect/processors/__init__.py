"""What stands between receivers and exporters: one file a processor, its settings beside it, one line in `collect/table.py`.

The law: a processor never changes the batch it is given; it gives that very batch, a new one, or None where all of it was
dropped on purpose. Who needs no look inside opens nothing.
"""
