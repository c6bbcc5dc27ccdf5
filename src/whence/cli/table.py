"""The commands, one line each: where a command lives and what it is for. A new command is a file and a line here.

The law: data only, so that `whence --help` need not load any command.
"""

from typing import Final, NamedTuple


class Command(NamedTuple):
    """One command: the function `name` in the module, one line of help, and whether what it is given passes on.

    `passes_on`: options behind the first argument are not whence's to understand (`whence run -- CMD...`).
    """

    name: str
    module: str
    function: str
    help: str
    passes_on: bool = False


_RUN: Final = "Run any Python program with whence recording it, with no change to its code."

COMMANDS: Final = {
    command.name: command
    for command in (
        Command(
            "demo", "whence.cli.demo", "demo", "Record a simulation of 20 agents with a mystery in it, then ask why."
        ),
        Command("run", "whence.cli.run", "run", _RUN, True),
        Command("runs", "whence.cli.runs", "runs", "List the runs in the archive."),
        Command("log", "whence.cli.log", "log", "Show events in the order of time."),
        Command("query", "whence.cli.query", "query", "Ask in the filter language: conditions, causes, counts."),
        Command("sql", "whence.cli.query", "sql", "Ask in SQL, over events, spans, causes and runs."),
        Command(
            "stats",
            "whence.cli.stats",
            "stats",
            "Count events by type: how many, how often, how long, how many failed.",
        ),
        Command(
            "correlations",
            "whence.cli.correlations",
            "correlations",
            "List correlation ids: what happened under each, and whether it finished.",
        ),
        Command("show", "whence.cli.show", "show", "Show one event whole, with its causes and effects."),
        Command("why", "whence.cli.why", "why", "Tell why an event happened, from the root cause on."),
        Command("effects", "whence.cli.why", "effects", "Tell what an event led to."),
        Command("check", "whence.cli.check", "check", "Look for faults in the recorded causes."),
        Command("errors", "whence.cli.errors", "errors", "Show errors, like ones together, with their root causes."),
        Command("last", "whence.cli.last", "last", "Show how a run ended and what was still open."),
        Command("tail", "whence.cli.tail", "tail", "Show events as they are recorded."),
        Command("replay", "whence.cli.replay", "replay", "Give events again at a pace, or send them as OTLP."),
        Command("push", "whence.cli.push", "push", "Send the archive, or what is chosen of it, to any OTLP backend."),
        Command("verify", "whence.cli.upkeep", "verify", "Check every file of the archive."),
        Command("seal", "whence.cli.upkeep", "seal", "Recover what dead processes left, seal and compress."),
        Command("retain", "whence.cli.retain", "retain", "Remove files whose time is over, as a plan says."),
        Command(
            "import", "whence.cli.importing", "import_files", "Take files of OTLP, structlog or eliot into the archive."
        ),
        Command(
            "export", "whence.cli.export", "export", "Write the archive, or what is chosen of it, in another format."
        ),
        Command(
            "collect",
            "whence.cli.collect",
            "collect",
            "Run the collector, configured as the OpenTelemetry Collector is.",
        ),
        Command(
            "validate",
            "whence.cli.collect",
            "validate",
            "Check a configuration without starting it: every fault with its file, line and key.",
        ),
        Command(
            "components",
            "whence.cli.collect",
            "components",
            "List every component, with the signals it works on and how stable it is.",
        ),
        Command(
            "print-config",
            "whence.cli.collect",
            "print_config",
            "Show the configuration, merged and substituted, with secrets taken out.",
        ),
        Command("serve", "whence.cli.serve", "serve", "Serve the archive over HTTP."),
        Command(
            "up", "whence.cli.up", "up", "Take OTLP into an archive and serve it: collector and server in one process."
        ),
        Command("doctor", "whence.cli.doctor", "doctor", "Check the installation, the settings and the archive."),
    )
}
