"""Who may ask, and what they may see: tokens, roles, filters and masks.

The law: a token is known by its digest only, compared in constant time, and never shown, logged or put into an error.
"""
