"""Settings come from the call, the environment, a file and defaults, in that order; what is wrong is said with its place."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tables
from whence.archive.terms import Durability
from whence.errors import ConfigError
from whence.event.kinds import Verbosity
from whence.record.queue import WhenFull
from whence.record.settings import Otlp, Settings, read_settings, variables


def read(
    arguments: dict[str, Any] | None = None, environ: dict[str, str] | None = None, file: str | None = None
) -> Settings:
    """The settings of these, the file given as its text."""
    given = dict(arguments or {})
    if file is not None:
        given["config"] = "whence.yaml"
    return read_settings(given, environ or {}, lambda _: file or "")


def fault(*sources: Any, **named: Any) -> str:
    """What is said to be wrong, in one line."""
    with pytest.raises(ConfigError) as caught:
        read(*sources, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_everything_has_a_default() -> None:
    """`configure()` alone is enough."""
    settings = read()
    assert settings.archive == Path("whence-archive")
    assert (settings.run, settings.service, settings.otlp) == (None, None, None)
    assert (settings.verbosity, settings.durability) == (Verbosity.ACTION, Durability.INTERVAL)
    assert (settings.queue_size, settings.when_full) == (10_000, WhenFull.HELP)
    assert (settings.rotate_bytes, settings.shutdown_timeout) == (500_000_000, 10.0)


def test_the_call_goes_before_the_environment_before_the_file_before_the_default() -> None:
    """Each setting from the first place that says it."""
    file = "archive: f\nrun: f\nservice: f\n"
    settings = read({"archive": "a"}, {"WHENCE_ARCHIVE": "e", "WHENCE_RUN": "e"}, file)
    assert (settings.archive, settings.run, settings.service, settings.queue_size) == (Path("a"), "e", "f", 10_000)


def test_groups_are_put_together_key_by_key() -> None:
    """The file names the endpoint, the environment brings the key, the call the timeout."""
    settings = read({"otlp": {"timeout": "3s"}}, {"WHENCE_OTLP_HEADERS": "API-Key=a%3Db,x=1"}, "otlp: http://host:4317")
    assert settings.otlp == Otlp(endpoint="http://host:4317", headers={"api-key": "a=b", "x": "1"}, timeout=3.0)


def test_the_call_can_switch_off_what_the_file_switches_on() -> None:
    """None is a value where the setting knows it."""
    assert read({"otlp": None}, file="otlp: http://host:4317").otlp is None
    assert read({"compress_over": None}).compress_over is None


def test_a_ready_made_group_is_taken_as_it_is() -> None:
    """For those who like types."""
    given = Otlp(endpoint="http://host:4318", headers={"a": "b"})
    assert read({"otlp": given}).otlp == given


def test_every_setting_can_be_given_in_every_place() -> None:
    """As text in a variable, as YAML, as a Python value; all come to the same."""
    values = {
        "archive": ("x", "x", Path("x")),
        "verbosity": ("detail", "Detail", Verbosity.DETAIL),
        "verbosity_by_agent": (
            "a7=state,b=detail",
            "{a7: state, b: detail}",
            {"a7": Verbosity.STATE, "b": Verbosity.DETAIL},
        ),
        "durability": ("durable", "DURABLE", Durability.DURABLE),
        "queue_size": ("5", "5", 5),
        "when_full": ("drop-oldest", "drop_oldest", WhenFull.DROP_OLDEST),
        "rotate_bytes": ("1MB", "1MB", 1_000_000),
        "rotate_seconds": ("1h", "3600", 3600.0),
        "compress_over": ("never", "never", None),
        "sync_seconds": ("50ms", "0.05", 0.05),
        "console": ("yes", "true", True),
        "logging": ("0", "false", False),
        "bridge": ("false", "no", False),
        "run": ("7", "7", "7"),
    }
    for name, (variable, yaml, value) in values.items():
        environ = {f"WHENCE_{name.upper()}": variable}
        assert getattr(read(environ=environ), name) == value, name
        assert getattr(read(file=f"{name}: {yaml}\n"), name) == value, name
        assert getattr(read({name: value}), name) == value, name


def test_the_writer_is_told_what_concerns_it() -> None:
    """Rotation, syncing and compression as set."""
    options = read({"durability": "durable", "rotate_seconds": "1h", "compress_over": "never"}).writer_options()
    assert (options.durability, options.rotate_seconds, options.compress_over) == (Durability.DURABLE, 3600.0, None)
    assert options.rotate_bytes == 500_000_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"archve": "x"}, "archve (argument): there is no such setting; did you mean 'archive'?"),
        ({"queue_size": "many"}, "queue_size (argument): expected a whole number, got 'many'"),
        ({"queue_size": 0}, "queue_size (argument): expected at least 1, got 0"),
        ({"verbosity": "loud"}, "expected one of milestone, decision, action, state, detail, got 'loud'"),
        ({"durability": "high"}, "expected one of 'interval', 'durable' or 'none', got 'high'"),
        ({"rotate_bytes": "5 apples"}, "expected a size such as 500MB or 64MiB, got '5 apples'"),
        ({"rotate_seconds": "soon"}, "expected a duration such as 250ms, 30s or 1h, got 'soon'"),
        ({"archive": ""}, "archive (argument): expected the path of a directory, got ''"),
        ({"archive": "a\0b"}, "archive (argument): expected the path of a directory"),
        ({"otlp": {"endpont": "x"}}, "otlp.endpont (argument): there is no such setting; did you mean 'endpoint'?"),
        ({"otlp": "ftp://x"}, "otlp.endpoint (argument): expected an address such as http://localhost:4318"),
        ({"otlp": {"timeout": 1}}, "otlp.endpoint (argument): missing"),
        (
            {"otlp": {"endpoint": "http://x:1", "protocol": "udp"}},
            "otlp.protocol (argument): expected one of 'grpc' or",
        ),
        ({"verbosity_by_agent": {"a7": "loud"}}, "verbosity_by_agent.a7 (argument): expected one of milestone"),
        ({"verbosity_by_agent": "a7"}, "expected pairs such as name=value,name=value, got 'a7'"),
        ({"shutdown_timeout": float("inf")}, "shutdown_timeout (argument): expected a finite number"),
    ],
)
def test_a_wrong_argument_is_named_with_what_was_expected(arguments: dict[str, Any], words: str) -> None:
    """Key, expectation and value, and the nearest key for one that does not exist."""
    assert words in fault(arguments)


def test_a_wrong_line_of_the_file_is_named_by_its_number() -> None:
    """In groups too, and all of them at once."""
    said = fault(file="archive: x\nqueu_size: 3\notlp:\n  endpoint: http://x\n  tiemout: 3\n")
    assert "queu_size (whence.yaml, line 2): there is no such setting; did you mean 'queue_size'?" in said
    assert "otlp.tiemout (whence.yaml, line 5): there is no such setting; did you mean 'timeout'?" in said
    said = fault(file="archive: x\nqueue_size: many\notlp:\n  endpoint: http://x\n  timeout: soon\n")
    assert "queue_size (whence.yaml, line 2): expected a whole number, got 'many'" in said
    assert "otlp.timeout (whence.yaml, line 5): expected a duration" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("archive: [x", "whence.yaml, line 1: not YAML"),
        ("- archive", "expected settings such as"),
        ("archive", "expected settings such as"),
        ("archive: a\narchive: b\n", "whence.yaml, line 2: not YAML: found duplicate key"),
        ("archive: \0", "not YAML"),
        ("1: x", "1 (whence.yaml, line 1): there is no such setting"),
        ("run: [1]", "run (whence.yaml, line 1): expected text"),
        ("otlp: 7", "otlp (whence.yaml, line 1): expected a mapping"),
    ],
)
def test_a_file_that_is_no_settings_is_an_error(text: str, words: str) -> None:
    """Not YAML, not a mapping, a key twice."""
    assert words in fault(file=text)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    """A file of comments is a good beginning."""
    assert read(file=text) == read()


def test_a_yaml_merge_is_understood() -> None:
    """What YAML allows does no harm, though its lines are not known."""
    assert read(file="<<: {archive: x, run: r}\nservice: s\n").archive == Path("x")


def test_a_wrong_variable_is_named() -> None:
    """And one that is nearly a setting's name is an error, while others' variables are left alone."""
    assert "WHENCE_QUEUE_SIZE (environment): expected a whole number, got 'many'" in fault(
        environ={"WHENCE_QUEUE_SIZE": "many"}
    )
    assert "did you mean 'WHENCE_ARCHIVE'" in fault(environ={"WHENCE_ARCHVE": "x"})
    others = {
        "WHENCE_TORTURE": "1",
        "WHENCE_SERVICE_HOST": "10.0.0.1",
        "WHENCE_SERVICE_PORT": "4318",
        "WHENCE_PORT_4318_TCP": "x",
    }
    assert read(environ=others) == read()


def test_an_empty_variable_says_nothing() -> None:
    """As in OpenTelemetry: `WHENCE_RUN= python app.py` is the same as without."""
    assert read(environ={"WHENCE_RUN": "", "WHENCE_OTLP_ENDPOINT": ""}) == read()


def test_the_file_is_named_by_the_call_or_by_a_variable(tmp_path: Path) -> None:
    """A real file, and one that is not there."""
    file = tmp_path / "whence.yaml"
    file.write_text("run: from-file\n")
    assert read_settings({"config": file}, {}).run == "from-file"
    assert read_settings({}, {"WHENCE_CONFIG": str(file)}).run == "from-file"
    for wrong in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match=f"cannot read the configuration file '{re.escape(str(wrong))}'"):
            read_settings({"config": wrong}, {})
    file.write_bytes(b"run: \xff\n")
    with pytest.raises(ConfigError, match="cannot read"):
        read_settings({"config": file}, {})


def test_keys_to_accounts_are_never_shown() -> None:
    """Not in an error, not in the printed settings."""
    secret = "hunter2"
    assert secret not in repr(read({"otlp": {"endpoint": "http://x:1", "headers": {"k": secret}}}))
    assert secret not in fault({"otlp": {"endpoint": "http://x:1", "headers": {"k": [secret]}}})
    assert secret not in fault(environ={"WHENCE_OTLP_ENDPOINT": "http://x:1", "WHENCE_OTLP_HEADERS": secret})
    assert secret not in fault({"otlp": f"ftp://me:{secret}@host"})


def test_every_setting_has_a_variable_and_a_meaning() -> None:
    """A setting that is not documented does not exist."""
    for name, field in [*Settings.model_fields.items(), *Otlp.model_fields.items()]:
        assert field.description, name
    assert {place[0] for place in variables().values()} == set(Settings.model_fields)


@given(
    st.dictionaries(
        st.sampled_from([*Settings.model_fields, "config_", "", "otlp.endpoint"]), st.text(max_size=8), max_size=4
    )
)
def test_any_text_is_a_setting_or_an_error_of_ours(arguments: dict[str, str]) -> None:
    """Nothing a person can type ends in a traceback of somebody else's."""
    try:
        read(arguments)
    except ConfigError:
        pass


@given(st.text(max_size=40))
def test_any_file_is_read_or_an_error_of_ours(text: str) -> None:
    """Also one that is not a configuration at all."""
    try:
        read(file=text)
    except ConfigError:
        pass


def test_what_the_page_about_configuration_says_is_true() -> None:
    """Its YAML is read, and its errors are those that are given."""
    page = (tables.DOCS / "configuration.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    settings = read(file=example)
    assert settings.otlp is not None
    assert settings.rotate_seconds == 3600
    assert fault(file="\n\n\nqueu_size: 1\n") in page
    assert fault(environ={"WHENCE_ROTATE_BYTES": "500 apples"}) in page
