"""`whence collect`, and what one asks of a configuration without starting it: `validate`, `components`, `print-config`."""

import io
import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from ruamel.yaml import YAML

from whence.cli.options import JsonOption, parse_duration
from whence.cli.output import note, write, write_json
from whence.collect.config.check import check
from whence.collect.config.model import BadConfig, Config, Problem
from whence.collect.config.shown import shown
from whence.collect.config.sources import Sources, read_sources
from whence.collect.config.tree import values
from whence.collect.kinds import Catalog
from whence.collect.run import Options
from whence.collect.run import collect as run_collector
from whence.collect.table import ROLES, Kind
from whence.version import VERSION

_CONFIG: Final = "A file, or file:PATH, env:NAME, yaml:TEXT; again for more: maps merge, lists are replaced."
_SET: Final = "One value over all files, such as exporters.otlp_http.timeout=2s; again for more."
_STATE: Final = "Where queues and positions are kept for components without a file_storage."

ConfigOption = Annotated[list[str], typer.Option("--config", metavar="SOURCE", help=_CONFIG)]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=_SET)]
StateOption = Annotated[Path, typer.Option("--state", metavar="DIR", envvar="WHENCE_STATE", help=_STATE)]


class Mode(StrEnum):
    """Whether secrets are shown."""

    REDACTED = "redacted"
    UNREDACTED = "unredacted"


class Format(StrEnum):
    """How a configuration is written."""

    YAML = "yaml"
    JSON = "json"


def collect(
    *,
    config: ConfigOption,
    set_: SetOption = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Processes that share the ports.")] = 1,
    state: StateOption = Path("whence-state"),
    stop_timeout: Annotated[str, typer.Option(metavar="TIME", help="How long stopping may take.")] = "30s",
) -> int:
    """Run the collector, configured as the OpenTelemetry Collector is.

    SIGTERM and SIGINT stop it gracefully, a second one at once; SIGHUP reads the configuration again.
    """
    options = Options(_sources(config, set_), state.absolute(), processes, parse_duration(stop_timeout) / 1e9)
    return run(options)


def run(options: Options) -> int:
    """A collector from its start to its end: its exit code. What is wrong with its configuration is told."""
    try:
        return run_collector(options)
    except BadConfig as bad:
        for problem in bad.problems:
            note(str(problem))
        return 2


def validate(*, config: ConfigOption, set_: SetOption = None, json: JsonOption = False) -> int:
    """Check a configuration without starting it: every fault with its file, line and key.

    Exits with 1 where there is one. Nothing is opened, and no port is listened on.
    """
    found, problems = _checked(_sources(config, set_))
    notes = found.notes if found else ()
    if json:
        told = [
            {
                "file": one.place.source,
                "line": one.place.line,
                "key": "::".join(map(str, one.keys)),
                "message": one.said,
            }
            for one in problems
        ]
        write_json([{"valid": not problems, "problems": told, "notes": list(notes)}])
    else:
        for line in (*map(str, problems), *(f"note: {one}" for one in notes)):
            note(line)
        if found:
            write([f"valid: {len(found.pipelines)} pipelines, {len(found.components)} components"])
    return 1 if problems else 0


def components(*, json: JsonOption = False) -> int:
    """List every component, with the signals it works on and how stable it is.

    Those of other packages, found by their entry points, are in the list.
    """
    kinds = Catalog().all()
    told: dict[str, Any] = {
        "buildinfo": {"command": "whence", "description": "whence collect", "version": VERSION},
        **{f"{role}s": [_component(kind) for kind in kinds if kind.role == role] for role in ROLES},
    }
    if json:
        write_json([told])
    else:
        write(_yaml(told))
    return 0


def print_config(
    *,
    config: ConfigOption,
    set_: SetOption = None,
    mode: Annotated[Mode, typer.Option(help="Whether secrets are shown.")] = Mode.REDACTED,
    format_: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.YAML,
    validate: Annotated[bool, typer.Option(help="Whether faults are looked for first.")] = True,
) -> int:
    """Show the configuration, merged and substituted, with secrets taken out."""
    sources = _sources(config, set_)
    found, problems = _checked(sources)
    if validate and problems:
        for problem in problems:
            note(str(problem))
        return 1
    tree = shown(values(read_sources(sources, os.environ).root), found, mode is Mode.UNREDACTED)
    if format_ is Format.JSON:
        write([orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode()])
    else:
        write(_yaml(tree))
    return 0


def _sources(config: list[str], set_: list[str] | None) -> Sources:
    return Sources(tuple(config), tuple(set_ or ()))


def _checked(sources: Sources) -> tuple[Config | None, list[Problem]]:
    try:
        return check(read_sources(sources, os.environ), Catalog()), []
    except BadConfig as bad:
        return None, bad.problems


def _component(kind: Kind) -> dict[str, Any]:
    names: list[str] = [*sorted(kind.signals)] or [kind.role]
    stability = dict.fromkeys(names, kind.stability)
    found: dict[str, Any] = {"name": kind.type, "description": kind.help, "stability": stability}
    return found | ({"aliases": list(kind.aliases)} if kind.aliases else {})


def _yaml(tree: Any) -> Iterable[str]:
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    text = io.StringIO()
    yaml.dump(tree, text)
    return text.getvalue().splitlines()
