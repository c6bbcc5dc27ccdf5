"""Files that are read as they grow: which they are, how far each was read, and handing on what is new.

The law: a position moves only after `consume` has returned, and is on the device before more is read of that file.
"""
