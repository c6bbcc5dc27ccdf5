"""The pages on Jaeger and Grafana, and the files they point at, are true."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import yaml

from build_jaeger import a_jaeger, both_doors, needs_jaeger
from build_serve import a_client
from build_traces import a_whole_span, write_traces
from whence.serve.app import routers
from whence.serve.settings import ServeSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "jaeger.md").read_text()
READY = ROOT / "deploy" / "jaeger.yaml"


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_part_that_matters_is_in_the_ready_file() -> None:
    """What the page shows of Jaeger's configuration is what the file says, and the file stores nothing."""
    shown, ready = yaml.safe_load(blocks("yaml")[0]), yaml.safe_load(READY.read_text())

    def within(part: object, whole: object) -> bool:
        if isinstance(part, dict):
            return isinstance(whole, dict) and all(within(value, whole.get(key)) for key, value in part.items())
        return part == whole

    assert within(shown, ready)
    assert ready["service"]["pipelines"]["traces"] == {"receivers": ["nop"], "exporters": ["nop"]}


def test_the_settings_of_the_page_are_the_defaults() -> None:
    """What is shown for whence is what it does anyhow."""
    assert ServeSettings.model_validate(yaml.safe_load(blocks("yaml")[1])) == ServeSettings()


def test_every_path_of_the_table_is_served() -> None:
    """And no path of these APIs is left out of it."""
    served = {
        re.sub(r"\{(\w+):path\}", r"{\1}", route.path).replace("{trace}", "{id}")  # type: ignore[attr-defined]
        for router in routers()
        for route in router.routes
        if "jaeger" in route.endpoint.__module__  # type: ignore[attr-defined]
    }
    assert served == set(re.findall(r"`(/api/[^`?]*)`", PAGE))


def test_the_requests_of_the_page_are_answered(tmp_path: Path) -> None:
    """Each curl, with its query as it stands there."""
    asked = re.findall(r"curl 'http://127\.0\.0\.1:8642([^']*)'", PAGE)
    assert len(asked) == 3
    span = a_whole_span(1, 1, "pay", service="shop", status="error")
    with a_client(write_traces(tmp_path / "a", [span])) as client:
        for path in asked:
            where, _, query = path.partition("?")
            reply = client.ask(where, **dict(parse_qsl(query)))
            assert reply.status == 200, (path, reply)
            assert b"shop" in reply.body


@needs_jaeger
def test_jaeger_starts_with_the_ready_file(tmp_path: Path) -> None:
    """But for its ports, as it stands."""
    with (
        both_doors(write_traces(tmp_path / "a", [a_whole_span(1, 1, service="s")])) as (_, port),
        a_jaeger(tmp_path / "j", port, config=READY.read_text()) as jaeger,
    ):
        assert jaeger.get("/api/services")["data"] == ["s"]


@pytest.mark.parametrize("file", ["whence.yaml"])
def test_grafanas_sources_point_at_the_server(file: str) -> None:
    """At its port, by types that Grafana has."""
    sources = yaml.safe_load((ROOT / "deploy" / "grafana" / file).read_text())["datasources"]
    page = (ROOT / "docs" / "grafana.md").read_text()
    port = ServeSettings().endpoint.rpartition(":")[2]
    for source in sources:
        assert source["url"].startswith(f"http://localhost:{port}")
        assert f"| {source['type'].capitalize()} | `{source['url']}` |" in page
