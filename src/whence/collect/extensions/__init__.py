"""Extensions: what serves the whole collector and no pipeline: health, authentication, storage.

The law: one file an extension, with its settings, its component and its `PLUG`.
"""
