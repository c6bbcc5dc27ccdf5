"""The version of whence, from the installed package's metadata: written once, in pyproject.toml."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("whence")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0+unknown"
