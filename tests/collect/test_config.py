"""The configuration language: what is written means what the Collector's users expect, and what is wrong is said, all of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_collect import LOGS_ONLY, KeepSettings, SourceSettings, a_catalog, a_config, problems
from whence.collect.config.check import check
from whence.collect.config.model import BadConfig
from whence.collect.config.sources import Sources, read_sources
from whence.collect.settings import as_duration


def _keep(text: str, **variables: str) -> KeepSettings:
    settings = a_config(LOGS_ONLY, f"exporters::keep: {text}", **variables).components["exporter", "keep"].settings
    assert isinstance(settings, KeepSettings)
    return settings


def test_a_key_with_nothing_behind_it_means_the_defaults() -> None:
    """`keep:` alone is the component with its defaults, and `grpc:` alone turns the protocol on."""
    config = a_config(LOGS_ONLY, "receivers: {source: {grpc: }}")
    assert config.components["exporter", "keep"].settings == KeepSettings()
    source = config.components["receiver", "source"].settings
    assert isinstance(source, SourceSettings)
    assert source.grpc is not None and source.grpc.endpoint == "localhost:4317"
    assert source.http is None
    assert _keep("{retry_on_failure: }").retry_on_failure.max_elapsed_time == 300.0
    assert _keep("{label: }").label == ""


def test_maps_merge_and_lists_are_replaced() -> None:
    """A later configuration changes single keys, and replaces lists whole."""
    base = "exporters: {keep: {label: a, wait: 1s}, keep/b: }\nservice::pipelines::logs::exporters: [keep, keep/b]"
    config = a_config(LOGS_ONLY, base, "exporters: {keep: {label: b}}\nservice::pipelines::logs::exporters: [keep]")
    keep = config.components["exporter", "keep"].settings
    assert isinstance(keep, KeepSettings)
    assert (keep.label, keep.wait) == ("b", 1.0)
    assert config.pipelines[0].exporters == ("keep",)


def test_set_stands_over_every_file() -> None:
    """`--set=a.b.c=value` is YAML at these keys."""
    config = a_config(LOGS_ONLY, sets=("exporters.keep.wait=2s", "exporters.keep.retry_on_failure={max_interval: 1m}"))
    keep = config.components["exporter", "keep"].settings
    assert isinstance(keep, KeepSettings)
    assert (keep.wait, keep.retry_on_failure.max_interval) == (2.0, 60.0)
    assert problems(LOGS_ONLY, sets=("nonsense",)) == [
        "0: : expected such as --set=exporters.otlp_http.timeout=2s",
    ]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("${env:X}", "abc"),
        ("${X}", "abc"),
        ("a-${X}-${env:Y:-d}", "a-abc-d"),
        ("${env:Y:-${X}}", "abc"),
        ("${env:${NAME}}", "abc"),
        ("$$X and $${X}", "$X and ${X}"),
        ("${yaml:plain text}", "plain text"),
        ("a $1 b", "a $1 b"),
    ],
)
def test_substitution(text: str, label: str) -> None:
    """Variables, defaults, substitutions inside each other, and `$$`."""
    assert _keep(f"{{label: '{text}'}}", X="abc", NAME="X").label == label


@pytest.mark.parametrize(
    "text", ["0123", "1e3", "0x10", "true", "null", "a: b", "[x", "#hash", "'quoted'", "", "1_000", " x "]
)
def test_a_variable_is_its_text_where_text_is_wanted(text: str) -> None:
    """A password that looks like a number, a switch, a map or a comment is still that password."""
    settings = _keep("{label: '${env:X}', token: '${env:X}', headers: {k: '${env:X}'}}", X=text)
    assert settings.label == text
    assert settings.token is not None and settings.token.get_secret_value() == text
    assert settings.headers["k"].get_secret_value() == text


@given(st.text(st.characters(blacklist_characters="$", blacklist_categories=["Cs", "Cc"])))
def test_any_text_of_a_variable_comes_through(text: str) -> None:
    """Whatever a variable holds, a text setting gets exactly that."""
    assert _keep("{label: '${env:X}'}", X=text).label == text


def test_a_variable_is_a_number_switch_or_map_where_that_is_wanted() -> None:
    """The same text means what the setting needs."""
    found = _keep(
        "{retry_on_failure: '${env:X}', sending_queue: {queue_size: '${env:N}', enabled: '${env:B}'}}",
        X="{max_interval: 1m}", N="7", B="false",
    )  # fmt: skip
    assert found.retry_on_failure.max_interval == 60.0
    assert (found.sending_queue.queue_size, found.sending_queue.enabled) == (7, False)


def test_numbers_written_as_such_are_text_too() -> None:
    """`label: 007` is the text 007."""
    assert _keep("{label: 007}").label == "007"
    assert _keep("{label: 1.50}").label == "1.50"


def test_a_file_is_substituted_without_its_last_newline(tmp_path: Path) -> None:
    """`${file:...}` of a token is the token; of YAML it is the map, with faults in that file's lines."""
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "keep.yaml").write_text("label: x\nlabl: y\n")
    token = _keep(f"{{token: '${{file:{tmp_path}/token}}'}}").token
    assert token is not None and token.get_secret_value() == "s3cret"
    assert problems(LOGS_ONLY, f"exporters::keep: ${{file:{tmp_path}/keep.yaml}}") == [
        "2: exporters::keep::labl: no such key; did you mean 'label'?"
    ]


def test_substitutions_without_end_are_refused() -> None:
    """A variable that brings itself, or ever more of others, ends in a fault instead of not at all."""
    assert "without end" in problems(LOGS_ONLY, "exporters::keep::label: ${X}", X="${X}")[0]
    assert "without end" in problems(LOGS_ONLY, "exporters::keep::label: a${X}", X="b${X}${X}")[0]
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert "too large" in problems(bomb)[0]


def test_a_variable_that_is_not_set_is_noted() -> None:
    """Nothing stands in its place, and the notes say so."""
    config = a_config(LOGS_ONLY, "exporters::keep::label: ${env:NOWHERE}")
    assert any("NOWHERE is not set" in note for note in config.notes)


def test_every_fault_is_found_at_once_with_line_key_and_nearest_name() -> None:
    """One run of `validate` says all there is to say."""
    text = """\
receivers:
  source:
    grpc:
      endpont: 0.0.0.0:4317
    number: many
  sorce:
  kafka:
exporters:
  keep:
    wait: 5 parsecs
    sending_queue: {queue_size: 0}
    auth: {authenticator: plain}
  otlp/x/y:
extension: {}
service:
  pipeline:
  pipelines:
    logs: {receivers: [source, sourc], exporters: [keep]}
    traces: {receivers: [source], exporters: [keep_logs]}
    profiles: {}
    metrics: {receivers: [source]}
"""
    assert problems(text, "exporters::keep_logs: ") == [
        "4: receivers::source::grpc::endpont: no such key; did you mean 'endpoint'?",
        "5: receivers::source::number: expected a whole number, got 'many'",
        "6: receivers::sorce: there is no receiver sorce; did you mean 'source'?",
        "7: receivers::kafka: whence has no receiver kafka: run an OpenTelemetry Collector with it beside whence, "
        "and let it send to whence by OTLP",
        "10: exporters::keep::wait: expected a duration such as 200ms, 30s or 1m30s, got '5 parsecs'",
        "11: exporters::keep::sending_queue::queue_size: expected at least 1, got 0",
        "13: exporters::otlp/x/y: expected an id such as otlp or otlp/second",
        "14: extension: no such section; did you mean 'extensions'?",
        "16: service::pipeline: no such key; did you mean 'pipelines'?",
        "18: service::pipelines::logs::receivers::1: sourc is not declared under receivers or connectors; did you mean 'source'?",
        "19: service::pipelines::traces::exporters::0: keep_logs works on logs, not on traces",
        "20: service::pipelines::profiles: whence takes no profiles: leave this pipeline to an OpenTelemetry Collector",
        "21: service::pipelines::metrics::exporters: missing: a pipeline needs at least one of exporters",
    ]


def test_what_settings_name_must_be_started() -> None:
    """An authenticator, or a queue's storage, is an extension under service.extensions."""
    text = "extensions: {plain: }\nexporters::keep::auth::authenticator: plain"
    assert "the extension plain is not started" in problems(LOGS_ONLY, text)[0]
    assert problems(LOGS_ONLY, text, "service::extensions: [plain]") == []
    assert "spare is not declared under extensions" in problems(LOGS_ONLY, "service::extensions: [spare]")[0]


def test_connectors_are_ends_and_beginnings_and_never_lead_round() -> None:
    """A circle, and a connector that leads nowhere, are found."""

    def join(of: str) -> str:
        return f"receivers: {{source: }}\nexporters: {{keep: }}\nconnectors: {{join/a: , join/b: }}\nservice::pipelines:\n{of}"

    circle = (
        "  logs: {receivers: [source, join/b], exporters: [join/a]}\n"
        "  logs/2: {receivers: [join/a], exporters: [join/b, keep]}\n"
    )
    assert problems(join(circle)) == [
        "5: service::pipelines::logs: connectors lead round in a circle: logs -> logs/2 -> logs"
    ]
    assert problems(join("  logs: {receivers: [source], exporters: [join/a, keep]}\n")) == [
        "3: connectors::join/a: an exporter of logs, but the receiver of no pipeline of logs"
    ]


def test_a_mistaken_role_is_named() -> None:
    """A processor under exporters is told where it belongs."""
    assert problems(LOGS_ONLY, "exporters: {mark: }") == [
        "1: exporters::mark: mark is a kind of processor, not of exporter"
    ]
    assert "it is one of the exporters" in problems(LOGS_ONLY, "service::pipelines::logs::receivers: [keep]")[0]


def test_faults_of_yaml_have_their_place(tmp_path: Path) -> None:
    """A file that is not YAML, a key twice, a file that is not there."""
    file = tmp_path / "otel.yaml"
    file.write_text("receivers:\n  a: ]\nexporters: {}\n")
    with pytest.raises(BadConfig) as bad:
        check(read_sources(Sources((str(file), f"file:{tmp_path}/none.yaml")), {}), a_catalog())
    assert str(bad.value).startswith(f"{file}:2: not YAML")
    assert f"{tmp_path}/none.yaml: cannot be read: No such file or directory" in str(bad.value)
    assert (
        problems("receivers:\n  source:\n  source:\n")[0]
        == "3: : the key 'source' stands here twice; the first is in line 2"
    )


def test_a_variable_can_hold_the_configuration() -> None:
    """`--config env:X`, as containers use it."""
    config = check(read_sources(Sources(("env:OTEL",)), {"OTEL": LOGS_ONLY}), a_catalog())
    assert config.pipelines[0].receivers == ("source",)


def test_unused_components_are_noted_and_left_out() -> None:
    """What no pipeline names is not started, and the notes say so."""
    config = a_config(LOGS_ONLY, "processors: {mark: }\nexporters: {keep/2: }")
    assert ("processor", "mark") not in config.components
    assert sum("not started" in note for note in config.notes) == 2


def test_accepted_but_different_keys_are_noted() -> None:
    """Nothing that the Collector does and whence does not is passed over in silence."""
    config = a_config(
        LOGS_ONLY, "receivers: {source: {grpc: {read_buffer_size: 1}}}\nservice::telemetry::logs::sampling: "
    )
    assert any("receivers::source::grpc::read_buffer_size: accepted" in note for note in config.notes)


def test_telemetry_is_checked_as_strictly() -> None:
    """service.telemetry has no room for wrong keys either."""
    text = "service::telemetry: {metrics: {lvel: basic, readers: [{periodic: {}}]}}"
    found = problems(LOGS_ONLY, text)
    assert "1: service::telemetry::metrics::lvel: no such key; did you mean 'level'?" in found
    assert any("readers::0::periodic" in one for one in found)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("1m30s", 90.0), ("1h", 3600.0), ("1.5s", 1.5), ("0", 0.0), (1_000_000_000, 1.0), (0, 0.0)],
)
def test_durations_are_gos(text: object, seconds: float) -> None:
    """Go's units, and a bare number in nanoseconds."""
    assert as_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "1d", "", "s", "-1s", True, None, "1s 2m", "9" * 200 + "s"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="a duration"):
        as_duration(text)
