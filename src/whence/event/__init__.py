"""What an event is: its fields, kinds, names on the wire, ids and typed vocabularies.

The law: pure. No clock, file, socket, thread or environment is touched here; where one is needed, its reading is given.
"""
