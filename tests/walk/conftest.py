"""A backend, the transports it is reached by, and a network before it that can be put in trouble."""

from collections.abc import Iterator

import pytest

from build_backend import Backend, a_backend
from build_chaos import Proxy, a_proxy


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that says yes."""
    with a_backend() as found:
        yield found


@pytest.fixture(params=["http", "grpc"])
def by(request: pytest.FixtureRequest) -> str:
    """The transport."""
    return str(request.param)


@pytest.fixture
def proxy(backend: Backend, by: str) -> Iterator[Proxy]:
    """What stands before the backend."""
    with a_proxy(getattr(backend, by)) as found:
        yield found
