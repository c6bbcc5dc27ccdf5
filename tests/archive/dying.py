"""How a program is made to die between two steps: before the n-th call of one kind."""

import os
import signal


def die_before(call: str, left: int) -> None:
    """From now on `os.<call>` does `left` calls more; then the process kills itself."""
    real = getattr(os, call)

    def counted(*arguments: object, **named: object) -> object:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*arguments, **named)

    setattr(os, call, counted)
