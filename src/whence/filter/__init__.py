"""The filter language: its grammar, tree and names; matching one event, compiling to SQL, and printing.

The law: pure. A tree matches an event or becomes SQL with bound parameters, with the same answer on any event; what needs
the whole archive (causes) is asked of a resolver that is given.
"""
