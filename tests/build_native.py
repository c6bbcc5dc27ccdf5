"""The two cores of the codec, each alone, for tests that hold them together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import strategies as st

from build_examples import examples
from whence.errors import DataError
from whence.native import CORE
from whence.otlp import from_json, from_native, from_protobuf, from_tree, to_protobuf
from whence.otlp.limits import Limits

needs_native = pytest.mark.skipif(CORE.module is None, reason=f"the native core is not in use: {CORE.why}")
REFUSED = "refused"
MODULES = {"from_protobuf": from_protobuf, "from_json": from_json, "from_tree": from_tree, "to_protobuf": to_protobuf}

MANY = examples(10)
LIMITS = st.builds(
    Limits,
    records_per_line=st.sampled_from([1, 2, 3, 128]),
    line_bytes=st.sampled_from([1, 500, 2000, 1 << 20]),
    depth=st.sampled_from([0, 1, 2, 3, 4, 32]),
)


class NativeAlone:
    """The native core without the pure one behind it: what it does not take, it refuses."""

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            with _nobody_behind():
                try:
                    return getattr(from_native, name)(*given)
                except CORE.module.Refused:
                    return REFUSED

        return call


class PureAlone:
    """The pure core, whose refusals are a value too."""

    def __getattr__(self, name: str) -> Any:
        function = next(getattr(module, name) for module in MODULES.values() if hasattr(module, name))

        def call(*given: Any) -> Any:
            try:
                return function(*given)
            except DataError:
                return REFUSED

        return call


class Nobody:
    """Stands behind the native core and takes nothing."""

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            raise CORE.module.Refused

        return call


@contextmanager
def _nobody_behind() -> Iterator[None]:
    for name in MODULES:
        setattr(from_native, name, Nobody())
    try:
        yield
    finally:
        for name, module in MODULES.items():
            setattr(from_native, name, module)


NATIVE, PURE = NativeAlone(), PureAlone()
