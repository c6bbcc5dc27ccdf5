"""A network before the backend that can be put in trouble."""

from collections.abc import Iterator

import pytest

from build_backend import Backend
from build_chaos import Proxy, a_proxy


@pytest.fixture
def proxy(backend: Backend, by: str) -> Iterator[Proxy]:
    """What stands before the backend."""
    with a_proxy(getattr(backend, by)) as found:
        yield found
