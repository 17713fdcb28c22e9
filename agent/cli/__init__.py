"""The command line: parse, call, print, and turn errors into exit codes. It holds no rule.

0 done; 1 checked and not so; 2 wrong usage or input; 78 unusable configuration. A command's
module is imported when the command is called, so that `--help` is quick on a small board.
"""

import importlib
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

import click

from agent import __version__
from agent.errors import AgentError, ConfigError, UsageError
from agent.nocore import leave_no_core

COMMANDS = {
    "demo": "the main job, end to end, on this machine alone",
    "run": "the service",
    "status": "one screen: does it run, is the log whole, how much was missed",
    "replay": "put recorded traffic through the pipeline",
    "bsm": "decode, encode and convert basic safety messages",
    "obd": "decode recorded answers of ECUs",
    "log": "show, verify and erase the event log",
    "owner": "name, contact, age, sex and data use, sealed in the log",
    "key": "make and try a device key in a token or a TPM",
    "enrol": "get a certificate for connections to node and storage",
    "wallet": "keys, coins and consent",
    "parcel": "list, check and open what was uploaded",
    "upload": "push what is pending to the storage service, now",
    "polls": "sign and check the file that says what a car is asked",
    "report": "a drive as a web page",
    "devnode": "an AMO node and storage service on this machine",
}
"""Name of each command and what its module's `command` does, in a few words."""

EXIT_NOT_SO = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h
EXIT_INTERRUPTED = 130


class _OnDemand(click.Group):
    """A group that imports a command's module when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"agent.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_OnDemand)
@click.version_option(__version__, prog_name="amo-agent")
def group() -> None:
    """Read a car, remember what happened, let its owner share it sealed."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code; an error is one line on stderr."""
    with suppress(ValueError):  # not the main thread: then nobody sends us signals
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    _lead_nowhere()
    try:
        leave_no_core()
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except (click.ClickException, UsageError) as error:
        code = _say(error, EXIT_USAGE)
    except ConfigError as error:
        code = _say(error, EXIT_CONFIG)
    except AgentError as error:
        code = _say(error, EXIT_NOT_SO)
    except (KeyboardInterrupt, click.Abort):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _say(error, EXIT_USAGE)
    sys.exit(code)


def _lead_nowhere() -> None:
    """A standard stream that came closed; a file of ours would get its number otherwise."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.dup2(descriptor, number)
            if descriptor != number:
                os.close(descriptor)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115 - for as long as the process lives


def _run(arguments: list[str]) -> int:
    """As click's own main, which would turn a closed pipe into the exit code of a failure."""
    try:
        with group.make_context("amo-agent", list(arguments)) as context:
            group.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_USAGE
    except click.exceptions.Exit as left:
        return left.exit_code
    return 0


def _say(error: Exception, code: int) -> int:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    hint = f" ({error.hint})" if isinstance(error, AgentError) and error.hint else ""
    click.echo(f"amo-agent: {' '.join(text.split())}{hint}", err=True)
    return code
