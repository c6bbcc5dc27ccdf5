"""What runs where, and what changes, decided without running anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_collect import LOGS_ONLY, a_catalog, a_config
from whence.collect.config.check import check
from whence.collect.config.model import BadConfig, Config
from whence.collect.config.sources import Read
from whence.collect.config.tree import Node, Place
from whence.collect.plan import Key, change, stop_order, wanted

BOTH = (
    "receivers: {once: }\nextensions: {health_check: , plain: }\nprocessors: {through: , mark: }\n"
    "service: {extensions: [health_check, plain], pipelines: {logs: {receivers: [source, once], processors: [mark, through]}}}"
)


def test_of_several_processes_each_runs_its_share() -> None:
    """What reads files runs in the first only; what speaks for all runs outside of them."""
    config = a_config(LOGS_ONLY, BOTH)
    first, second = wanted(config, "inside", 0), wanted(config, "inside", 1)
    assert set(first) - set(second) == {Key("receiver", "once")}
    assert set(wanted(config, "outside")) == {Key("extension", "health_check")}
    assert set(wanted(config)) == set(first) | set(wanted(config, "outside"))


def test_stopping_follows_the_flow() -> None:
    """Receivers, then processors from first to last, through connectors too, then exporters."""
    config = a_config(
        "receivers: {source: }\nexporters: {keep: }\nconnectors: {join: }\nprocessors: {through/1: , through/2: , through/3: }\n"
        "service::pipelines:\n"
        "  logs/after: {receivers: [join], processors: [through/3], exporters: [keep]}\n"
        "  logs: {receivers: [source], processors: [through/1, through/2], exporters: [join]}\n"
    )
    order = [[key.id for key in stage] for stage in stop_order(config, list(wanted(config)))]
    assert order == [["source"], ["through/1"], ["through/2"], ["through/3"], ["join"], ["keep"]]


def test_the_same_configuration_changes_nothing() -> None:
    """However it is written."""
    again = a_config(LOGS_ONLY, BOTH, "exporters: {keep: {wait: 0s}}")
    found = change(a_config(LOGS_ONLY, BOTH), again)
    assert (found.stop, found.start) == ([], [])


_KEYS = st.sampled_from(
    ["receivers", "processors", "exporters", "connectors", "extensions", "service", "pipelines", "logs", "traces", "source",
     "keep", "mark", "join", "telemetry", "metrics", "readers", "plain", "grpc", "tls", "x"]
)  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["keep", "source", "", "a/b", "${X}", "$"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=30,
)


def _node(value: object) -> Node:
    place = Place("test", 1)
    if isinstance(value, dict):
        return Node({key: _node(item) for key, item in value.items()}, place)
    return Node([_node(item) for item in value] if isinstance(value, list) else value, place)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_whatever_is_written_is_a_configuration_or_a_list_of_faults(tree: dict[str, object]) -> None:
    """Nothing that can be written makes the check itself fail."""
    try:
        found = check(Read(_node(tree), [], []), a_catalog())
    except BadConfig as bad:
        assert bad.problems and all(str(one) for one in bad.problems)
    else:
        assert isinstance(found, Config) and found.pipelines


@pytest.mark.parametrize("name", ["receivers", "service", "exporters"])
def test_a_section_that_is_no_map_is_a_fault(name: str) -> None:
    """Not a crash."""
    with pytest.raises(BadConfig, match="expected a map"):
        a_config(LOGS_ONLY, f"{name}: [1]")
