"""docs/collect.md is true: its tables are those of the code, its configuration validates.

`PYTHONPATH=tests python tests/collect/test_collect_docs.py` writes the tables anew.
"""

import re
from pathlib import Path

from whence.collect.config.check import SECTIONS
from whence.collect.config.sources import Sources, read_sources
from whence.collect.table import BUILT_IN
from whence.collect.telemetry import ITEMS, METRICS

PAGE = Path(__file__).parents[2] / "docs" / "collect.md"


def components() -> str:
    """A table of every component."""
    lines = ["| section | component | signals | is |", "|---|---|---|---|"]
    for section, role in SECTIONS.items():
        for kind in BUILT_IN:
            if kind.role == role:
                names = ", ".join(f"`{name}`" for name in (kind.type, *kind.aliases))
                signals = "all" if len(kind.signals) == 3 else ", ".join(sorted(kind.signals))
                lines.append(f"| {section} | {names} | {signals} | {kind.help} |")
    return "\n".join(lines)


def metrics() -> str:
    """A table of every metric; names that differ in the signal only stand together."""
    lines = ["| metric | kind | counts |", "|---|---|---|"]
    for name, metric in METRICS.items():
        if name.endswith(("log_records", "metric_points")):
            continue
        shown = re.sub(r"_spans$", "_{" + ",".join(ITEMS.values()) + "}", name)
        said = metric.help.replace("spans", "items") if shown != name else metric.help
        lines.append(f"| `{shown}` | {metric.kind} | {said} |")
    return "\n".join(lines)


def regenerated(page: str) -> str:
    """The page with each marked table made anew."""
    for name, table in (("components", components()), ("metrics", metrics())):
        page = re.sub(
            f"<!-- {name} -->\n.*?<!-- end -->",
            lambda _, n=name, t=table: f"<!-- {n} -->\n{t}\n<!-- end -->",
            page,
            flags=re.DOTALL,
        )
    return page


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    """A component or a metric that the page does not tell of is found here."""
    assert PAGE.read_text() == regenerated(PAGE.read_text())


def test_the_examples_of_the_page_are_yaml_that_can_be_read() -> None:
    """Each block, as a configuration."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert read_sources(Sources((f"yaml:{block}",)), {"PASSWORD": "x"}).faults == []


if __name__ == "__main__":
    PAGE.write_text(regenerated(PAGE.read_text()))
