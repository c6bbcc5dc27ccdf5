"""The Collector's configuration language: from files, variables and options to components that can be built.

The law: nothing is ignored silently, and every fault is found in one go, each with its file, line and key.
"""
