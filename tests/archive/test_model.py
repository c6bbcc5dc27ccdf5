"""Any sequence of appends, syncs, rotations, crashes and restarts gives what a plain list would: the archive has no surprises."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from build_archive import a_line, uid_of
from build_examples import examples, often
from whence.archive.reader import Archive
from whence.archive.recovery import recover
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, Durability, WriterOptions

GROUPS = st.sampled_from(["run", "../other", ""])


class ArchiveMachine(RuleBasedStateMachine):
    """Drives a real archive and a list beside it."""

    @initialize(
        durability=st.sampled_from(list(Durability)),
        rotate=st.sampled_from([400, 1_500, 10**9]),
        compress=st.sampled_from([None, 0, 1_000]),
    )
    def begin(self, durability: Durability, rotate: int, compress: int | None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="whence-model-"))
        self.options = WriterOptions(durability, rotate_bytes=rotate, compress_over=compress, probe_seconds=0.01)
        self.writer = ArchiveWriter(self.directory, self.options)
        self.expected: dict[str, list[str]] = {}
        self.next = 0

    def lines(self, group: str, count: int, size: int) -> list:
        uids = [str(self.next + n) for n in range(count)]
        self.next += count
        self.expected.setdefault(group, []).extend(uids)
        return [a_line(uid, size=size) for uid in uids]

    @rule(group=GROUPS, count=st.integers(0, 5), size=st.sampled_from([0, 300, 3_000]))
    def append(self, group: str, count: int, size: int) -> None:
        self.writer.append(group, "logs", self.lines(group, count, size))

    @rule()
    def sync(self) -> None:
        assert self.writer.sync(20)

    @rule()
    def close_and_open_again(self) -> None:
        assert self.writer.close(60).reason is None
        self.writer = ArchiveWriter(self.directory, self.options)

    @rule(group=GROUPS, count=st.integers(1, 4), torn=st.booleans())
    def another_process_is_killed(self, group: str, count: int, torn: bool) -> None:
        lines = self.lines(group, count, 100)
        child = os.fork()
        if child == 0:
            writer = ArchiveWriter(self.directory, self.options)
            writer.append(group, "logs", lines)
            if torn:
                for path in self.directory.rglob(f"*.{os.getpid()}.*.jsonl"):
                    with path.open("ab") as file:
                        file.write(b'{"resourceLogs":[{')
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL

    @rule()
    def recover(self) -> None:
        assert not [repair for repair in recover(self.directory, compress_over=0) if repair.kind == "failed"]

    @invariant()
    def reads_what_was_written(self) -> None:
        if not hasattr(self, "directory"):
            return
        found: dict[str, list[str]] = {}
        runs = {"run": "run", "~2E~2E~2Fother": "../other", "~2E.~2Fother": "../other", "~": ""}
        archive = Archive(self.directory)
        for segment in archive.segments():
            for line in segment.lines():
                found.setdefault(runs[segment.group], []).append(uid_of(line.data))
        # Two processes' files lie side by side: the order is each process's own.
        assert {group: sorted(uids, key=int) for group, uids in found.items()} == {
            group: uids for group, uids in self.expected.items() if uids
        }

    def teardown(self) -> None:
        if not hasattr(self, "directory"):
            return
        assert self.writer.close(60).reason is None
        recover(self.directory)
        report = verify(self.directory)
        assert report.ok, report.problems
        assert not report.unsealed
        shutil.rmtree(self.directory)


TestArchiveMachine = ArchiveMachine.TestCase
TestArchiveMachine.settings = examples(20, stateful_step_count=often(15, 30))
