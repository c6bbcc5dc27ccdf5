"""The entry: finds the command, runs it, and turns whatever goes wrong into one line and an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from typing import Annotated, Any, Final, NoReturn

import typer

from whence.archive.encrypt import VARIABLE
from whence.cli.output import note, point
from whence.cli.table import COMMANDS, Command
from whence.errors import FilterError, NotFoundError, WhenceError
from whence.version import VERSION

DONE: Final = 0
NO: Final = 1
"""The answer is no: not found, a check failed."""
USAGE: Final = 2
TROUBLE: Final = 3
INTERRUPTED: Final = 130
_IDENTITY: Final = "--identity"
BROKEN_PIPE: Final = 141

EXTRAS: Final = {
    "lark": "query",
    "re2": "query",
    "duckdb": "query",
    "pyarrow": "query",
    "numpy": "query",
    "pyrage": "encrypt",
    "google": "collect",
    "bcrypt": "collect",
    "grpc": "collect",
    "urllib3": "collect",
    "fastapi": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
}
"""Packages that a light installation lacks, and the extra that brings each."""


def main() -> NoReturn:
    """Run the command that the process was started with, and exit."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit code and never raises for what a user can cause."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown as an escape, not as a traceback.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    arguments = list(arguments) or ["--help"]
    try:
        code = command_for(arguments)(args=arguments, prog_name="whence", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except typer.TyperException as fault:
        see = " ".join(filter(None, ("whence", _wanted(arguments), "--help")))
        return _say(f"{fault.format_message().rstrip('.')}. See: {see}", fault.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (BrokenPipeError, _ReaderGone):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet as well
        return BROKEN_PIPE
    except FilterError as fault:
        point(str(fault))
        return USAGE
    except WhenceError as fault:
        if isinstance(fault, NotFoundError):
            return _say(str(fault), NO)
        return _say(str(fault), USAGE if fault.fault == "caller" else TROUBLE)
    except OSError as fault:
        return _say(f"cannot go on: {fault}", TROUBLE)
    except ModuleNotFoundError as missing:
        extra = EXTRAS.get((missing.name or "").partition(".")[0])
        if missing.name is None or extra is None:
            raise
        package = "protobuf" if missing.name.startswith("google") else missing.name
        return _say(f"cannot go on: the package {package} is not installed; pip install 'whence[{extra}]'", TROUBLE)


def _say(message: str, code: int) -> int:
    note(message)
    return code


def command_for(arguments: Sequence[str]) -> typer.Typer:
    """The program with the one command these arguments ask for loaded, and of the others only their help."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help="whence: what happened in a program, and why.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    wanted = _wanted(arguments)
    for command in COMMANDS.values():
        app.command(
            command.name,
            help=None if command.name == wanted else command.help,
            context_settings={"allow_interspersed_args": not command.passes_on, "help_option_names": ["-h", "--help"]},
        )(_load(command) if command.name == wanted else _not_loaded)
    return app


def _wanted(arguments: Sequence[str]) -> str | None:
    values = {n + 1 for n, argument in enumerate(arguments) if argument == _IDENTITY}
    named = next((one for n, one in enumerate(arguments) if not one.startswith("-") and n not in values), None)
    return named if named in COMMANDS else None


class _ReaderGone(Exception):
    """Whoever read standard output has closed it."""


def _load(command: Command) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module(command.module), command.function)

    @wraps(found)
    def command_itself(*arguments: Any, **options: Any) -> Any:
        try:
            return found(*arguments, **options)
        except BrokenPipeError:
            raise _ReaderGone from None  # typer would make an exit code of its own of it

    return command_itself


def _not_loaded() -> None:
    """Stands for a command that was not asked for."""


def _version(asked: bool) -> None:
    if asked:
        print(f"whence {VERSION}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    identity: Annotated[
        str | None,
        typer.Option(_IDENTITY, metavar="FILE", envvar=VARIABLE, help="The age identity that opens encrypted files."),
    ] = None,
) -> None:
    if identity:
        os.environ[VARIABLE] = identity
