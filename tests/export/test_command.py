"""`whence export` as a person uses it: endings, choices, pictures, standard output, and what a cut-off one leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from build import a_span, an_archive, an_event
from whence.cli.app import call
from whence.errors import StorageError
from whence.export.target import whole_file

SPAN = "00f067aa0ba902b7"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A cause, its effect in a span, and something else."""
    cause = an_event("cause", id="01KDV0000000000000000000C1", description='say "hi"\n; x')
    effect = an_event("effect", cause, "01KDVNOWHERE", id="01KDV0000000000000000000E1", agent="a]b")
    inside = an_event("inside", id="01KDV0000000000000000000E2", span=SPAN)
    return an_archive(tmp_path / "archive", [cause, effect, a_span(span=SPAN), inside])


def test_the_ending_says_the_format_and_options_choose(archive: Path, tmp_path: Path) -> None:
    """The same conditions as those of `whence log`."""
    assert call(["export", str(tmp_path / "x.jsonl"), "-a", str(archive), "--type", "effect"]) == 0
    assert [json.loads(line)["type"] for line in (tmp_path / "x.jsonl").read_text().splitlines()] == ["effect"]
    assert set(os.listdir(tmp_path)) == {"archive", "x.jsonl"}


def test_standard_output_holds_nothing_else(archive: Path) -> None:
    """`-o -` writes the format to standard output."""
    code = subprocess.run(
        [
            sys.executable,
            "-c",
            "from whence.cli.app import main; main()",
            "export",
            "-o",
            "-",
            "-f",
            "json",
            "-a",
            str(archive),
        ],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert code.returncode == 0, code.stderr
    assert len(json.loads(code.stdout)) == 4


def test_a_chain_is_drawn_with_dashes_for_what_was_inferred(archive: Path, tmp_path: Path) -> None:
    """Recorded causes solid, inferred dashed, missing ones said; names cannot break out of their boxes."""
    for id, name in (("E1", "said"), ("E2", "guessed")):
        for ending in ("dot", "mmd"):
            target = str(tmp_path / f"{name}.{ending}")
            assert call(["export", target, "-a", str(archive), "--of", id]) == 0
    said, guessed = (tmp_path / "said.dot").read_text(), (tmp_path / "guessed.dot").read_text()
    assert "style=dashed" not in said
    assert "missing: 01KDVNOWHERE" in said
    assert r"say \"hi\"\n; x" in said
    assert "style=dashed" in guessed
    said, guessed = (tmp_path / "said.mmd").read_text(), (tmp_path / "guessed.mmd").read_text()
    assert "e0 --> e1" in said
    assert "a#93;b" in said
    assert "-.->" in guessed


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")
def test_graphviz_takes_the_picture(archive: Path, tmp_path: Path) -> None:
    """`dot` draws it without a complaint."""
    assert call(["export", str(tmp_path / "x.dot"), "-a", str(archive), "--of", "E1"]) == 0
    done = subprocess.run(["dot", "-Tsvg", str(tmp_path / "x.dot")], capture_output=True, check=True)
    assert not done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.dot"], "needs it"),
        (["x.csv", "--of", "E1"], "not with csv"),
        (["x.nonsense"], "ending"),
        ([], "give one file"),
        (["x.csv", "-o", "y.csv"], "give one file"),
    ],
)
def test_wrong_use_is_said(
    archive: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line that says what is expected."""
    arguments = [str(tmp_path / one) if one.startswith(("x.", "y.")) else one for one in arguments]
    assert call(["export", *arguments, "-a", str(archive)]) == 2
    assert said in capsys.readouterr().err


def test_an_export_into_the_archive_is_refused(archive: Path) -> None:
    """There it would be read as a part of the archive."""
    assert call(["export", str(archive / "x.jsonl"), "-a", str(archive)]) == 2
    assert not (archive / "x.jsonl").exists()


def test_a_failed_export_leaves_the_former_file(archive: Path, tmp_path: Path) -> None:
    """What cannot be finished changes nothing and leaves nothing."""
    old = tmp_path / "x.jaeger.json"
    old.write_text("old")
    assert call(["export", str(old), "-a", str(archive), "--type", "nothing*"]) == 3
    assert old.read_text() == "old"
    assert set(os.listdir(tmp_path)) == {"archive", "x.jaeger.json"}


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The directory is not there."""
    with pytest.raises(StorageError, match="cannot write"), whole_file(tmp_path / "no" / "x"):
        pass


def test_a_killed_export_leaves_no_half_file(tmp_path: Path) -> None:
    """SIGKILL in the middle: the name is not there, and whatever was written is no file of any format."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom whence.export.target import whole_file\n"
        f"with whole_file(Path({str(tmp_path / 'x.jsonl')!r})) as out:\n"
        "    out.write(b'x' * 5_000_000)\n    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "x.jsonl").exists()
    assert all(name.endswith(".tmp") and name.startswith(".") for name in os.listdir(tmp_path))
