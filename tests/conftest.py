"""What every test stands on.

Signals are as programs at a terminal have them: what is started in the background ignores Ctrl-C, and so would its children.
Property tests have no deadline for an example, since machines that share their cores pause; how many examples they are tried with
where they do not say it themselves stands here.
The programs that tests start compile their modules once, and not at each start, whatever the environment says.
"""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

from build_backend import Backend, a_backend
from build_examples import examples

settings.register_profile("whence", examples(40, suppress_health_check=()))
settings.load_profile("whence")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that says yes."""
    with a_backend() as found:
        yield found


@pytest.fixture(params=["http", "grpc"])
def by(request: pytest.FixtureRequest) -> str:
    """The transport."""
    return str(request.param)
