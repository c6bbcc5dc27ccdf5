"""The command line as a fixture: arguments in, exit code and both outputs out."""

import pytest

from build_cli import Answer, Ask
from whence.cli.app import call


@pytest.fixture
def whence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs `whence` with these arguments in this process."""
    for name in ("WHENCE_ARCHIVE", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def ask(*arguments: object) -> Answer:
        capsys.readouterr()
        code = call([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return ask
