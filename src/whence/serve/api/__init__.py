"""The HTTP API, one file a resource: each a `router`, mounted by `serve/app.py`.

The law: HTTP answers what the command line answers, in the same JSON; users' own paths are the same functions.
"""
