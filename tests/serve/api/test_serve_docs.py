"""The pages on serving are true: every example of HTTP answers, every route and every setting is in them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from build import START, a_run, an_archive, an_event
from build_serve import Client, a_client
from whence.serve.access.tokens import read_tokens
from whence.serve.settings import AuthSettings, ServeSettings, TokenSettings

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = [block.splitlines() for block in re.findall(r"```bash\n(.*?)```", (DOCS / "http.md").read_text(), re.DOTALL)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of an archive in which the examples find something."""
    events = [
        an_event("task.failed", id="E1", agent="a1", turn=2, kind="milestone", payload={"attempt": 2}, time=START + 1),
        an_event("job.started", "E1", id="E2", payload={"job": "J"}, time=START + 2),
    ]
    with a_client(an_archive(tmp_path_factory.mktemp("docs") / "archive", a_run(*events))) as found:
        yield found


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block[0])
def test_every_example_answers(client: Client, block: list[str]) -> None:
    """With curl, as one would type it; a stream begins."""
    for example in block:
        command = example.replace("localhost:8642", f"127.0.0.1:{client.port}").replace(
            "curl ", "curl --fail-with-body "
        )
        env = os.environ | {"RUN": "run-1", "ID": "E1", "JOB": "J", "no_proxy": "127.0.0.1"}
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=subprocess.PIPE, text=True, env=env)
        assert process.stdout is not None
        if "-sN" in example:
            assert process.stdout.readline().startswith("retry: ")
            process.kill()
            process.communicate()
        else:
            out, _ = process.communicate(timeout=60)
            assert process.returncode == 0, out
            assert out


def test_every_route_is_in_the_page_or_in_the_one_on_live_events(client: Client) -> None:
    """A new one is documented, or it is not there. Some have a page of their own."""
    page = (DOCS / "http.md").read_text()
    others = "".join(file.read_text() for file in DOCS.glob("*.md"))
    for path in client.get("/openapi.json")["paths"]:
        if f"`{path}`" in others or f" {path}`" in others:
            continue
        place, _, last = path.rpartition("/")
        live = last in ("stream", "poll")
        shown = (
            path.replace("{run}", "$RUN").replace("{id}", "$ID").replace("{job}", "$JOB").replace("{name}", "billing")
        )
        assert f"`{place}/`" in page if live else (f"localhost:8642{shown}" in page), path


def test_every_setting_is_in_the_page() -> None:
    """Those of the server, and those of a token."""
    page = (DOCS / "serve.md").read_text()
    for name in (*ServeSettings.model_fields, *TokenSettings.model_fields):
        assert re.search(rf"^\|.*`{name}`.*\|", page, re.MULTILINE), name


def test_the_configurations_of_the_page_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read as a user's would be."""
    monkeypatch.setenv("ADA_TOKEN", "0123456789abcdef")
    first, tokens, *rest = re.findall(r"```yaml\n(.*?)```", (DOCS / "serve.md").read_text(), re.DOTALL)
    rest.append(first)
    assert [one.name for one in read_tokens(tokens, "tokens.yaml")] == ["ada", "dashboard"]
    for block in rest:
        read = YAML(typ="safe").load(block)
        ServeSettings.model_validate(read["extensions"]["whence_serve"] if "extensions" in read else read)
    assert AuthSettings(tokens=read_tokens(tokens, "tokens.yaml")).tokens[1].role == "read"
