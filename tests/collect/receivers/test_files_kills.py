"""A collector that tails files and is killed, again and again, while they are written and rotated: nothing is lost."""

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import orjson
import pytest

from build_examples import TORTURE
from build_files import a_line
from build_load import Served
from waiting import until

ROUNDS = 10 if TORTURE else 2
A_WHILE = 300
"""Lines between two blows."""
CONFIG = """\
receivers:
  {receiver}:
    include: ["{folder}/logs/*"]
    start_at: beginning
    poll_interval: 20ms
    {more}
exporters: {{whence: {{directory: "{folder}/archive"}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [{receiver}], exporters: [whence]}}}}
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills processes by their id")


class Writer:
    """A program that writes lines, each in two parts, and rotates its file."""

    def __init__(self, folder: Path, receiver: str) -> None:
        self.folder, self.receiver = folder, receiver
        self.written = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        folder.mkdir()

    def _run(self) -> None:
        generation = 0
        file = (self.folder / "app.log").open("ab", 0)
        while not self._over.wait(0.0005):
            line = self._line()
            file.write(line[: len(line) // 2])
            file.write(line[len(line) // 2 :])
            self.written += 1
            if self.written % 500 == 0:
                generation += 1
                (self.folder / "app.log").rename(self.folder / f"app.log.{generation}")
                file.close()
                file = (self.folder / "app.log").open("ab", 0)
        file.close()

    def _line(self) -> bytes:
        text = f"line {self.written}"
        return a_line(text) if self.receiver == "otlp_json_file" else orjson.dumps({"message": text}) + b"\n"

    def wait(self, count: int) -> None:
        """Until so many more are written."""
        wanted = self.written + count
        until(lambda: self.written >= wanted)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("receiver", ["otlp_json_file", "filelog"])
def test_killed_while_it_tails_it_loses_nothing(tmp_path: Path, receiver: str) -> None:
    """Every line is in the archive; what was handed on and not yet written down is there twice, at most a part for each kill."""
    parse = "operators: [{type: json_parser}, {type: move, from: attributes.message, to: body}]"
    served = Served(tmp_path)
    served.config.write_text(
        CONFIG.format(receiver=receiver, folder=tmp_path, more=parse if receiver == "filelog" else "")
    )
    with Writer(tmp_path / "logs", receiver) as writer:
        for _ in range(ROUNDS):
            served.start()
            writer.wait(A_WHILE)
            os.kill(served.process.pid, signal.SIGKILL)
            served.process.wait(90)
            writer.wait(A_WHILE)
    served.start()
    try:
        wanted = {f"line {n}" for n in range(writer.written)}
        until(lambda: wanted <= set(served.bodies()))
        assert served.end() == 0
    finally:
        served.process.kill()
    found = served.bodies()
    assert set(found) == wanted
    assert not found - Counter(dict.fromkeys(wanted, ROUNDS + 1))
