"""Why things happened: a compact graph of causes over event ids, chains through it, and checks of it.

The law: pure, and recorded causes (said by the program) are never mixed up with inferred ones (guessed from spans and order).
"""
