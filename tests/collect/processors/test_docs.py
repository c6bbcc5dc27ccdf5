"""The page about processors: every example is a right configuration and does what its lines say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from build_processors import Sink, a_host, a_log, a_processor, a_span, attributes, body, logs, records, spans
from whence.collect.batch import Batch
from whence.collect.ottl.compile import FUNCTIONS
from whence.collect.ottl.functions import CONVERTERS, EDITORS
from whence.collect.processors.detectors import DETECTORS, GROUPS
from whence.collect.processors.function import plug_of
from whence.collect.processors.policies import PolicySettings
from whence.collect.settings import Settings
from whence.collect.table import BUILT_IN

PAGE = (Path(__file__).parents[3] / "docs" / "processors.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def dollars(value: Any) -> Any:
    """As the configuration reads them: `$$` is one."""
    if isinstance(value, dict):
        return {key: dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [dollars(item) for item in value]
    return value.replace("$$", "$") if isinstance(value, str) else value


def chain(example: str) -> list[Any]:
    """The example's processors in their order."""
    written = dollars(YAML(typ="safe").load(example))["processors"]
    known = {kind.type for kind in BUILT_IN if kind.role == "processor"}
    return [a_processor(kind, given or {}) if kind in known else own() for kind, given in written.items()]


def own() -> Any:
    """The page's own function."""
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], names)
    return plug_of(names["process"]).build(Settings(), a_host("shout"), Sink())


def a_batch(given: dict[str, Any]) -> Batch:
    trace = {"traceId": given["trace"]} if "trace" in given else {}
    if "span" in given:
        return spans(a_span(given["span"], given.get("attributes"), **trace))
    severity = {"severityNumber": given["severity"]} if "severity" in given else {}
    event = {"eventName": given["event"]} if "event" in given else {}
    return logs(a_log(given.get("body", "x"), given.get("attributes"), **severity, **event))


def lines() -> Iterator[tuple[str, str, str]]:
    for example in EXAMPLES:
        for before, after in re.findall(r"^# (.+?) => (.+)$", example, re.MULTILINE):
            yield example, before, after


@pytest.mark.parametrize(("example", "before", "after"), list(lines()))
def test_an_example_does_what_it_says(example: str, before: str, after: str) -> None:
    """What the page shows of a record is what becomes of it."""
    left: Batch | None = a_batch(json.loads(before))
    for processor in chain(example):
        if not callable(processor):
            sink = Sink()
            processor._next = sink
            processor.consume(left)
            left = sink.batches[0]
        elif left is not None:
            left = processor(left)
    if after == "gone":
        assert left is None
        return
    record = records(left)[0]
    shown = {"attributes": attributes(record), "span": record.get("name"), "severity": record.get("severityNumber")}
    shown["body"] = body(record) if "body" in record else None
    wanted = json.loads(after)
    assert {key: shown[key] for key in wanted} == wanted


def test_every_example_is_a_right_configuration() -> None:
    """Also those without lines."""
    assert len(EXAMPLES) > 8
    for example in EXAMPLES:
        assert chain(example)


def test_the_page_names_everything_there_is_and_nothing_else() -> None:
    """Processors, functions, detectors, groups and policies."""
    assert FUNCTIONS
    told = set(re.findall(r"`([A-Za-z0-9_]+)`", PAGE))
    there = {kind.type for kind in BUILT_IN if kind.role == "processor"}
    there |= {*EDITORS, *CONVERTERS, *PolicySettings.types, *(one.name for one in DETECTORS), *GROUPS}
    assert there - told == set()
    listed = re.search(r"Editors: (.*?)`ParseJSON` keeps", PAGE, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == {*EDITORS, *CONVERTERS}
