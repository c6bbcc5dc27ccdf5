"""What the receiver `filelog` does with a line before it is a record: the Collector's operators, as far as they are here.

The law: pure.
"""
