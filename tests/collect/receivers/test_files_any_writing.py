"""Whatever is written in whatever chunks, with whatever rotations and restarts between: it arrives complete and in order."""

import gzip
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build_examples import TORTURE
from build_files import Pipeline, Reading, a_line, reading
from whence.collect.component import Plug
from whence.collect.receivers import filelog, otlp_json_file

_STEP = st.one_of(
    st.integers(1, 400),  # so many bytes
    st.sampled_from(["rename", "copytruncate", "compress", "restart", "look"]),
)


class Log:
    """A file that a program writes, and that others rotate."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self._folder = folder
        self._path = folder / "app.log"
        self._left = data
        self._generation = 0
        self._file = self._path.open("ab", 0)

    def write(self, count: int) -> None:
        """The next bytes, wherever that cuts a line."""
        self._file.write(self._left[:count])
        self._left = self._left[count:]

    def end_line(self) -> None:
        """Programs rotate between lines."""
        self.write(self._left.index(b"\n") + 1 if self._left and not self._at_start() else 0)

    def _at_start(self) -> bool:
        data = self._path.read_bytes()
        return not data or data.endswith(b"\n")

    def rotate(self, how: str, one: Reading) -> None:
        """To a name that matches too. What is copied and cut must have been read: nothing tells short files apart."""
        self.end_line()
        self._generation += 1
        to = self._folder / f"app.log.{self._generation}"
        if how == "copytruncate":
            one.rounds(2)
            shutil.copy(self._path, to)
            self._file.truncate(0)
            one.rounds(2)
            return
        self._file.close()
        one.rounds(2)
        self._path.rename(to)
        self._file = self._path.open("ab", 0)
        if how == "compress":
            packed = to.with_suffix(f".{self._generation}.gz")
            packed.write_bytes(gzip.compress(to.read_bytes()))
            to.unlink()

    def finish(self) -> None:
        """All of it."""
        self.write(len(self._left))
        self._file.close()


def _arrive(plug: Plug, texts: list[str], steps: list[int | str], data: bytes) -> None:
    pipeline = Pipeline()
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        log = Log(folder, data)

        def begin() -> Reading:
            return stack.enter_context(
                reading(folder, "app.log*", plug=plug, signals=("logs",), pipeline=pipeline, fingerprint_size=16)
            )

        one = begin()
        for step in steps:
            if isinstance(step, int):
                log.write(step)
            elif step == "restart":
                stack.close()
                one = begin()
            elif step == "look":
                one.rounds(1)
            else:
                log.rotate(step, one)
        log.finish()
        one.until(lambda: len(pipeline.said) >= len(texts))
        one.rounds(2)
    assert pipeline.said == texts


_RULES = settings(
    max_examples=200 if TORTURE else 12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip


@_RULES
@given(st.lists(st.text(max_size=60), min_size=1, max_size=30), st.lists(_STEP, max_size=15))
def test_lines_of_otlp_arrive_complete_and_in_order(texts: list[str], steps: list[int | str]) -> None:
    """Once each: nothing here is killed."""
    said = [f"{n} {text}" for n, text in enumerate(texts)]
    _arrive(otlp_json_file.PLUG, said, steps, b"".join(a_line(text) for text in said))


@_RULES
@given(st.lists(st.text(max_size=60), min_size=1, max_size=30), st.lists(_STEP, max_size=15))
def test_lines_of_json_arrive_complete_and_in_order(texts: list[str], steps: list[int | str]) -> None:
    """Once each, also those that look like nothing."""
    said = [orjson.dumps([f"{n:012}", text]).decode() for n, text in enumerate(texts)]
    _arrive(filelog.PLUG, said, steps, "".join(f"{text}\n" for text in said).encode())
