"""What processors read and change in a batch's tree: its levels, and drafts that copy only what changes.

The law: pure; nothing here changes a tree that it was given.
"""
