"""The line by which the collector knows the extension `whence_serve`: found by its entry point, as other packages' are.

The law: data only; listing components loads no server.
"""

from typing import Final

from whence.collect.table import NONE, Kind

KIND: Final = Kind(
    "whence_serve", (), "extension", NONE, "whence.serve.extension", "PLUG", "beta",
    "an archive over HTTP: `whence serve` in the collector's own process",
)  # fmt: skip
