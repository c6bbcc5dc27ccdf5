"""Python imports this before a program's first line, where `whence run` has put this folder on PYTHONPATH.

The law: whatever goes wrong here, the program runs as it would have without.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path


def _run_the_hidden_one() -> None:
    """This file hides any other `sitecustomize` further down the path; that one still has its turn, first."""
    here = Path(__file__).parent
    path = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if hidden is not None and hidden.loader is not None:
        module = importlib.util.module_from_spec(hidden)
        hidden.loader.exec_module(module)


def _begin() -> None:
    from whence.record.launch.start import start

    start()


for step in (_run_the_hidden_one, _begin):
    try:
        step()
    except Exception as trouble:  # noqa: BLE001 - the law above
        print(f"whence: recording is not set up: {trouble}", file=sys.stderr)  # noqa: T201 - there is no logging yet
