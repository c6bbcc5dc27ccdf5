"""Encrypted segments: read with the identity as if they were plain, named without it, and safe against kills and changed bits."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from build import an_archive, an_event
from build_archive import a_line, some_lines, write_archive
from build_examples import TORTURE, often
from whence.archive import names
from whence.archive.encrypt import VARIABLE
from whence.archive.holds import Holds, held_by
from whence.archive.reader import Archive
from whence.archive.recovery import recover
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.cli.app import call
from whence.errors import ConfigError, StorageError
from whence.event.names import AUDIT

pyrage = pytest.importorskip("pyrage")
SCRIPT = Path(__file__).parent / "encrypt_and_die.py"


class Keys:
    """A key pair, its identity in a file."""

    def __init__(self, folder: Path, name: str = "key.txt") -> None:
        identity = pyrage.x25519.Identity.generate()
        self.public = str(identity.to_public())
        self.file = folder / name
        self.file.write_text(f"# created: today\n# public key: {self.public}\n{identity}\n")


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test gives its own."""
    monkeypatch.setenv(VARIABLE, "")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def encrypted(directory: Path, keys: Keys, count: int = 6) -> Path:
    """An archive of one chain, two segments, all encrypted by its writer."""
    options = WriterOptions(rotate_bytes=max(count // 2, 1) * 260, encrypt_to=(keys.public,))
    write_archive(directory, some_lines(count), options)
    assert not list(directory.rglob("*.jsonl")) + list(directory.rglob("*.zst"))
    assert len(list(directory.rglob("*" + names.ENCRYPTED))) > 1
    return directory


def ids(directory: Path) -> list[str]:
    return [event.id for event in Archive(directory).events()]


def test_with_the_identity_nothing_is_different(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, single lines, last lines and verification: as if the files were plain."""
    archive = encrypted(tmp_path / "archive", keys)
    monkeypatch.setenv(VARIABLE, str(keys.file))
    assert ids(archive) == [str(n) for n in range(6)]
    reader = Archive(archive)
    lines = list(reader.lines())
    assert [reader.read_line(line.place) for line in lines] == [line.data for line in lines]
    assert reader.segments()[-1].last_lines(1)[0].data == lines[-1].data
    assert not reader.problems
    report = verify(archive)
    assert (report.ok, report.records, report.locked) == (True, 6, [])


def test_without_it_the_answer_says_what_is_missing(tmp_path: Path, keys: Keys) -> None:
    """A problem a segment: to whom it is encrypted, how many records of what time, what to do. Verification checks the rest."""
    archive = encrypted(tmp_path / "archive", keys)
    reader = Archive(archive)
    assert list(reader.events()) == []
    segments = reader.segments()
    assert [(problem.segment, problem.kind) for problem in reader.problems] == [
        (one.label, "locked") for one in segments
    ]
    for part in (keys.public, "records from 2023-11-14T22:13:20", "--identity"):
        assert part in reader.problems[0].detail
    with pytest.raises(StorageError, match="--identity"):
        segments[0].read_line(0)
    report = verify(archive)
    assert (report.ok, len(report.locked), report.sealed, report.records) == (True, len(segments), len(segments), 0)


def test_a_part_that_is_not_encrypted_is_still_answered(tmp_path: Path, keys: Keys) -> None:
    """Old files encrypted, new ones not yet: what can be read is read."""
    archive = encrypted(tmp_path / "archive", keys)
    writer = ArchiveWriter(archive)
    writer.append("run", "logs", [a_line("new")])
    writer.close()
    assert ids(archive) == ["new"]


def test_a_wrong_or_broken_identity_is_said(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another's key, a file that is none, a file that is nowhere: each its own words, never an exception."""
    archive = encrypted(tmp_path / "archive", keys)
    (tmp_path / "none.txt").write_text("hello\n")
    for file, said in (
        (Keys(tmp_path, "other.txt").file, "does not open it"),
        (tmp_path / "none.txt", "no age identity"),
        (tmp_path / "nowhere", "No such file"),
    ):
        monkeypatch.setenv(VARIABLE, str(file))
        reader = Archive(archive)
        assert list(reader.events()) == []
        assert said in reader.problems[0].detail
        assert verify(archive).locked


def test_several_keys_each_open_it(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in use and one in escrow."""
    other = Keys(tmp_path, "other.txt")
    write_archive(tmp_path / "archive", some_lines(2), WriterOptions(encrypt_to=(keys.public, other.public)))
    for each in (keys, other):
        monkeypatch.setenv(VARIABLE, str(each.file))
        assert ids(tmp_path / "archive") == ["0", "1"]


@pytest.mark.skipif(not (shutil.which("age") and shutil.which("zstd")), reason="age or zstd is not installed")
def test_age_and_zstd_open_it_without_whence(tmp_path: Path, keys: Keys) -> None:
    """`age -d -i key.txt FILE | zstd -d` gives the lines."""
    write_archive(tmp_path / "archive", some_lines(50), WriterOptions(encrypt_to=(keys.public,)))
    (file,) = (tmp_path / "archive").rglob("*" + names.ENCRYPTED)
    packed = subprocess.run(["age", "-d", "-i", str(keys.file), str(file)], capture_output=True, check=True).stdout
    lines = subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=True).stdout
    assert lines == b"".join(line.data for line in some_lines(50))


def test_what_is_no_public_key_is_refused_at_once(tmp_path: Path) -> None:
    """Before anything is recorded under the belief that it will be encrypted."""
    with pytest.raises(ConfigError, match="age1"):
        ArchiveWriter(tmp_path / "archive", WriterOptions(encrypt_to=("ssh-rsa AAAA",)))
    assert not (tmp_path / "archive").exists()


def test_seal_encrypts_what_is_there_and_removes_what_could_be_read(tmp_path: Path, keys: Keys) -> None:
    """`whence seal --encrypt-to`: plain, compressed and small files; caches hold events too and go."""
    archive = tmp_path / "archive"
    write_archive(archive, some_lines(4), WriterOptions(compress_over=None))
    write_archive(archive, some_lines(4, first=4, size=3000), WriterOptions(compress_over=0))
    for file in list(archive.rglob("*" + names.SEALED)):
        file.with_name(file.name.replace(names.SEALED, names.INDEX)).write_bytes(b"thing_happened")
    assert call(["seal", "-a", str(archive), "--encrypt-to", keys.public]) == 0
    left = [path for path in archive.rglob("*") if path.is_file() and path.name != names.ROLL]
    assert {path.name.partition(".jsonl")[2] or path.suffix for path in left} == {".zst.age", ".json", ".age-note"}
    assert not [path for path in left if b"thing_happened" in path.read_bytes()]
    assert len(verify(archive).locked) == 2


def test_no_index_of_it_is_left_on_disk(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the identity reads without one, and whoever has not leaves no empty one behind."""
    build = pytest.importorskip("whence.index.build")
    archive = encrypted(tmp_path / "archive", keys)
    for identity in ("", str(keys.file)):
        monkeypatch.setenv(VARIABLE, identity)
        assert {build.build_sidecar(segment) for segment in Archive(archive).segments()} == {None}
        assert not list(archive.rglob("*.index*"))


def test_the_command_line_takes_the_identity(tmp_path: Path, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    """`whence --identity FILE log`; without it each missing file is named on standard error."""
    archive = encrypted(tmp_path / "archive", keys)
    assert call(["log", "-a", str(archive), "--count"]) == 0
    out, err = capsys.readouterr()
    assert out == "0\n"
    assert err.count("is encrypted to age1") == len(Archive(archive).segments())
    assert "damaged" not in err
    assert call(["verify", "-a", str(archive)]) == 0
    assert "encrypted, and as they were written" in capsys.readouterr().out
    assert call(["--identity", str(keys.file), "log", "-a", str(archive), "--count"]) == 0
    assert capsys.readouterr() == ("6\n", "")
    assert call(["--identity", str(keys.file), "verify", "-a", str(archive), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 6


def test_retention_knows_what_an_encrypted_segment_holds(tmp_path: Path, keys: Keys) -> None:
    """It was written down when the segment could still be read."""
    for name, events, holds in (
        ("audit", [an_event("x", attributes={AUDIT: True})], Holds.AUDIT),
        ("plain", [an_event("x")], Holds.EVENTS),
    ):
        archive = an_archive(tmp_path / name, events)
        recover(archive, encrypt_to=[keys.public])
        (segment,) = Archive(archive).segments()
        assert held_by(segment) is holds


@pytest.mark.parametrize("ending", [names.ENCRYPTED, names.ENVELOPE])
def test_every_flipped_bit_is_found_without_the_identity(tmp_path: Path, keys: Keys, ending: str) -> None:
    """In the encrypted file and in its note."""
    write_archive(tmp_path / "archive", some_lines(2), WriterOptions(encrypt_to=(keys.public,)))
    (file,) = (tmp_path / "archive").rglob("*" + ending)
    whole = file.read_bytes()
    for bit in range(0, len(whole) * 8, often(67, 1)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(changed)
        report = verify(tmp_path / "archive")
        assert [problem.kind for problem in report.problems] == ["changed"], bit
    file.write_bytes(whole)
    assert verify(tmp_path / "archive").ok


def test_a_damaged_file_costs_only_what_stands_behind_the_damage(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Age authenticates 64 KiB at a time: what comes before is still read, what comes after is reported."""
    noise = [a_line(str(n) + os.urandom(3000).hex()) for n in range(100)]
    write_archive(tmp_path / "archive", noise, WriterOptions(encrypt_to=(keys.public,)))
    monkeypatch.setenv(VARIABLE, str(keys.file))
    assert len(ids(tmp_path / "archive")) == 100
    (file,) = (tmp_path / "archive").rglob("*" + names.ENCRYPTED)
    data = bytearray(file.read_bytes())
    data[-100_000] ^= 1
    file.write_bytes(data)
    reader = Archive(tmp_path / "archive")
    assert 0 < len(list(reader.events())) < 100
    assert reader.problems
    assert not verify(tmp_path / "archive").ok


@pytest.mark.parametrize("name", ["writev", "rename", "fsync", "fdatasync", "unlink"])
def test_a_kill_between_any_two_steps_loses_nothing(
    tmp_path: Path, keys: Keys, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL before the n-th call of one kind, for every n: all events are there, and the next start finishes the work."""
    source = tmp_path / "source"
    write_archive(source, some_lines(4), WriterOptions(rotate_bytes=600, compress_over=None))
    monkeypatch.setenv(VARIABLE, str(keys.file))
    n = 0
    while True:
        archive = tmp_path / f"{name}-{n}"
        shutil.copytree(source, archive)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(archive), keys.public, name, str(n)],
            env=environment,
            check=False,
            timeout=120,
        )
        assert ids(archive) == ["0", "1", "2", "3"]
        assert verify(archive).ok
        recover(archive, compress_over=None)
        assert not list(archive.rglob("*" + names.ENCRYPTING))
        recover(archive, encrypt_to=[keys.public])
        assert ids(archive) == ["0", "1", "2", "3"]
        assert verify(archive).ok
        assert not list(archive.rglob("*.jsonl")) + list(archive.rglob("*.zst"))
        shutil.rmtree(archive)
        if done.returncode == 0:
            assert n > 0
            return
        assert done.returncode == -9
        n += 1 if TORTURE or n < 2 else 3
