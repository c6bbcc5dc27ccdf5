"""The one TraceStore of an archive that is served, whichever door asks it."""

import threading
from typing import Final
from weakref import WeakKeyDictionary

from whence.serve.jaeger.traces import TraceStore
from whence.serve.served import Served

_lock: Final = threading.Lock()
_stores: Final[WeakKeyDictionary[Served, TraceStore]] = WeakKeyDictionary()


def store_of(served: Served) -> TraceStore:
    """The store, made when it is first asked for."""
    with _lock:
        if served not in _stores:
            _stores[served] = TraceStore(served.engine)
        return _stores[served]
