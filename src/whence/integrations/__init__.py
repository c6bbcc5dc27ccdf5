"""Ready-made hooks for whole programs: one file a kind of program, each wired in by one call.

The law: what is hooked is the object given, never its class; and what verbosity suppresses costs next to nothing.
"""
