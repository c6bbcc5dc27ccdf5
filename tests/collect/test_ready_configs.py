"""Ready configurations and deployments: they validate, and whatever refers to something refers to something that is there."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from whence.collect.config.check import check
from whence.collect.config.model import BadConfig
from whence.collect.config.sources import Sources, read_sources
from whence.collect.kinds import Catalog
from whence.serve.settings import ServeSettings

ROOT = Path(__file__).parents[2]
READY = ROOT / "collector-config"
DEPLOY = ROOT / "deploy"
OURS = sorted(file for file in READY.glob("*.yaml") if not file.name.startswith("upstream-"))
UPSTREAM = sorted(READY.glob("upstream-*.yaml"))
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def _faults(source: str, **variables: str) -> str:
    try:
        check(read_sources(Sources((source,)), variables), Catalog())
    except BadConfig as bad:
        return str(bad)
    return ""


def _load(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text())


def _documents(file: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(file.read_text()))


def _named(tree: Any, key: str) -> Iterator[Any]:
    """Every value under this key, at any depth."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from _named(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from _named(value, key)


@pytest.mark.parametrize("file", [*OURS, DEPLOY / "whence.yaml"], ids=lambda file: file.name)
def test_ready_configurations_validate(file: Path) -> None:
    """As `whence validate` does it, with no variable set."""
    assert _faults(str(file)) == ""


@pytest.mark.parametrize("file", UPSTREAM, ids=lambda file: file.name)
def test_whence_takes_what_is_written_for_the_collector(file: Path) -> None:
    """The same file, unchanged."""
    assert _faults(str(file), WHENCE_ARCHIVE="archive") == ""


def test_a_fault_in_a_ready_configuration_would_be_found() -> None:
    """The check above is one that can fail."""
    text = (READY / "gateway-with-redaction.yaml").read_text()
    assert "did you mean 'allow_all_keys'" in _faults("yaml:" + text.replace("allow_all_keys", "allow_all_kes"))


def test_the_page_lists_every_ready_configuration() -> None:
    """And names none that is not there."""
    assert set(re.findall(r"\]\((\S+\.yaml)\)", (READY / "README.md").read_text())) == {
        file.name for file in (*OURS, *UPSTREAM)
    }


@pytest.mark.parametrize("file", UPSTREAM, ids=lambda file: file.name)
def test_upstream_configurations_have_the_collectors_shape(file: Path) -> None:
    """Sections, ids and references hold; every component is of the contrib distribution, and each file holds one signal."""
    tree = _load(file)
    assert set(tree) <= {"receivers", "processors", "exporters", "extensions", "service"}
    kinds = {id_.partition("/")[0] for section in tree if section != "service" for id_ in tree[section]}
    assert kinds <= {"otlp", "otlp_json_file", "otlp_http", "file", "file_storage"}
    assert set(tree["service"].get("extensions", ())) == set(tree.get("extensions", ()))
    for signal, line in tree["service"]["pipelines"].items():
        assert signal in ("traces", "logs", "metrics")
        assert set(line["receivers"]) <= set(tree["receivers"])
        assert set(line["exporters"]) <= set(tree["exporters"])
    for section in ("receivers", "exporters"):
        for id_, settings in tree[section].items():
            if id_.startswith(("otlp_json_file/", "file/")):
                signal = id_.partition("/")[2]
                assert all(signal in path for path in settings.get("include", [settings.get("path", "")]))
                assert [line for line, parts in tree["service"]["pipelines"].items() if id_ in parts[section]] == [
                    signal
                ]


def test_compose_refers_only_to_what_is_there() -> None:
    """Services, volumes, mounted files, ports that are taken once, images with a tag."""
    compose = _load(DEPLOY / "compose.yaml")
    services = compose["services"]
    assert set(services) == {"whence", "server", "jaeger", "tempo", "loki", "grafana"}
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert len(published) == len(set(published))
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        assert "build" in service or re.search(r":\d+\.\d+\.\d+$", service["image"])
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith("./") else source in compose["volumes"]
    assert services["server"]["image"] == services["whence"]["image"]
    assert (DEPLOY / services["whence"]["build"]["context"] / services["whence"]["build"]["dockerfile"]).is_file()
    told = (DEPLOY / "whence.yaml").read_text()
    for host in re.findall(r"endpoint: (?:http://)?([a-z]+):\d+", told):
        assert host in services


def test_trace_viewers_of_compose_get_events_as_spans() -> None:
    """Jaeger and Tempo take no log records: exporters to them stand in the pipeline of logs with projections; Loki's has none."""
    told = _load(DEPLOY / "whence.yaml")
    exporters = told["service"]["pipelines"]["logs"]["exporters"]
    shown = {name: told["exporters"][name].get("projections", "none") for name in exporters if name.startswith("otlp")}
    assert shown == {"otlp_grpc/jaeger": "instants", "otlp_http/tempo": "instants", "otlp_http/loki": "none"}


def test_grafanas_sources_point_at_services_and_at_each_other() -> None:
    """Each `datasourceUid` is one of them; a lone `$` would be taken for a variable."""
    sources = _load(DEPLOY / "grafana" / "datasources.yaml")["datasources"]
    services = _load(DEPLOY / "compose.yaml")["services"]
    known = {source["uid"] for source in sources}
    assert known == {"jaeger", "tempo", "loki", "whence"}
    assert set(_named(sources, "datasourceUid")) <= known
    for source in sources:
        assert re.fullmatch(r"http://([a-z]+):\d+(/tempo)?", source["url"])[1] in services  # type: ignore[index]
    assert "${" not in (DEPLOY / "grafana" / "datasources.yaml").read_text().replace("$${", "")


def test_the_server_of_compose_has_settings_that_hold() -> None:
    """The archive is the collector's, and it is reached by its service's name."""
    settings = ServeSettings.model_validate(_load(DEPLOY / "serve.yaml"))
    assert settings.directory == _load(DEPLOY / "whence.yaml")["exporters"]["whence"]["directory"]
    assert "server" in settings.hosts and settings.endpoint.endswith(":8642")


def test_tempo_and_loki_listen_where_they_are_sent_to() -> None:
    """The ports of their own files are those that the collector and Grafana use."""
    told = (DEPLOY / "whence.yaml").read_text()
    tempo, loki = _load(DEPLOY / "tempo.yaml"), _load(DEPLOY / "loki.yaml")
    assert tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318"
    assert "http://tempo:4318" in told and f"http://loki:{loki['server']['http_listen_port']}/otlp" in told
    urls = [source["url"] for source in _load(DEPLOY / "grafana" / "datasources.yaml")["datasources"]]
    assert f"http://tempo:{tempo['server']['http_listen_port']}" in urls
    assert loki["schema_config"]["configs"][0]["schema"] == "v13"


@pytest.mark.parametrize("file", KUBERNETES, ids=lambda file: file.name)
def test_kubernetes_manifests_hold_together(file: Path) -> None:
    """The configuration inside validates; labels, volumes, ports and probes refer to what is there."""
    documents = _documents(file)
    assert all({"apiVersion", "kind", "metadata"} <= set(document) for document in documents)
    (config,) = (document for document in documents if document["kind"] == "ConfigMap")
    assert _faults("yaml:" + config["data"]["collector.yaml"]) == ""
    (work,) = (document for document in documents if document["kind"] in ("DaemonSet", "StatefulSet"))
    pod = work["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert work["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (container,) = pod["spec"]["containers"]
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in work["spec"].get("volumeClaimTemplates", ())}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert {volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "configMap" in volume} == {
        config["metadata"]["name"]
    }
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = [container[name] for name in ("livenessProbe", "readinessProbe")]
    assert {port for probe in probes for port in _named(probe, "port")} <= set(ports)
    assert set(re.findall(r'endpoint: "0\.0\.0\.0:(\d+)"', config["data"]["collector.yaml"])) == {
        str(number) for name, number in ports.items() if name != "metrics"
    }
    for service in (document for document in documents if document["kind"] == "Service"):
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)
    assert pod["spec"]["terminationGracePeriodSeconds"] > 30


def test_agents_send_to_the_gateways_service() -> None:
    """The name and port in the agent's configuration are those of the service."""
    agent, gateway = ({doc["kind"]: doc for doc in _documents(file)} for file in KUBERNETES)
    name = gateway["Service"]["metadata"]["name"]
    ports = {port["port"] for port in gateway["Service"]["spec"]["ports"]}
    sent = re.search(r"endpoint: ([a-z-]+):(\d+)", agent["ConfigMap"]["data"]["collector.yaml"])
    assert sent and sent[1] == name and int(sent[2]) in ports


def test_the_unit_is_one_systemd_reads() -> None:
    """Sections and keys parse; what is run is whence, and stopping has longer than its own timeout."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(DEPLOY / "whence.service")
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["ExecStart"].split()[:2] == ["/usr/local/bin/whence", "collect"]
    assert "HUP" in service["ExecReload"] and service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 30


def test_the_image_copies_what_is_there() -> None:
    """Every COPY has its source, the extras exist, and the command is whence."""
    text = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    extras = re.search(r"'\.\[(.+)\]'", text)
    assert extras and all(f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text() for extra in extras[1].split(","))
    assert json.loads(re.search(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)[1]) == ["whence"]  # type: ignore[index]
    command = json.loads(re.search(r"^CMD (.+)$", text, re.MULTILINE)[1])  # type: ignore[index]
    arguments = dict(zip(command[1::2], command[2::2], strict=True))
    assert command[0] == "collect" and f" {arguments['--config']}\n" in text.split("COPY collector-config")[1]
    assert {re.search(r"0\.0\.0\.0:(\d+)$", value)[1] for value in command[4::2]} <= set(  # type: ignore[index]
        re.search(r"^EXPOSE (.+)$", text, re.MULTILINE)[1].split()  # type: ignore[index]
    )


def test_the_readme_of_deploy_names_every_file() -> None:
    """Nothing is there that nobody is told of."""
    told = (DEPLOY / "README.md").read_text()
    for file in DEPLOY.rglob("*"):
        if file.is_file() and file.name != "README.md":
            assert str(file.relative_to(DEPLOY)) in told


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    """Its own check, with programs that are there in the place of those that are not installed here."""
    unit = tmp_path / "whence.service"
    unit.write_text((DEPLOY / "whence.service").read_text().replace("/usr/local/bin/whence", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    about = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, about) == (0, []), done.stderr
