"""The dispatcher: knows the commands' names and lines, and imports only the one that is chosen.

`octomil --help` needs no library at all, so it answers in the time Python takes to start.
"""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from octomil._version import __version__

COMMANDS = {
    "serve": "Serve models behind one OpenAI-compatible, auto-routing endpoint.",
    "up": "Run the control plane: devices, models, rollouts.",
    "registry": "Keep models in the control plane: push, publish, pull.",
    "deploy": "Bring a version to the devices, step by step, and watch how it goes.",
    "rollouts": "See and steer how versions come to the devices.",
    "device": "Let devices in, and run this machine as one.",
    "pull": "Fetch models by name, verified, ready to serve.",
    "models": "List the models that can be served, and which are here.",
    "route": "Explain routing decisions, and calibrate them on your own logs.",
    "keys": "Make, list, rotate and revoke API keys of the control plane.",
    "audit": "Check audit logs: was a record edited, removed or cut off?",
    "fsck": "Check the files that a control plane keeps: is one missing or damaged?",
    "backup": "Copy a control plane's data folder, while it is in use.",
    "restore": "Make a data folder of a backup.",
    "doctor": "Tell what is missing or slow on this machine.",
}

_HELP = """\
Usage: octomil COMMAND [OPTIONS]

  Run AI models on your own machines.

Commands:
{commands}

Options:
  --version  Show the version.
  --help     Show this message; `octomil COMMAND --help` tells about one command.

Try:
  octomil serve --models smollm2-135m,qwen2.5-coder-1.5b --auto-route
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output left, as `head` does
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # nor may the last flush fail
        return 0
    return status


def _dispatch(words: Sequence[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        print(help_text(), end="")
        return 0
    if words[0] in ("--version", "-V"):
        print(f"octomil {__version__}")
        return 0
    name, *rest = words
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `octomil {near[0]}`?" if near else "`octomil --help` lists them."
        return _complain(f"there is no command {name!r}; {hint}", status=2)
    return _run(name, rest)


def help_text() -> str:
    """Return what `octomil --help` shows."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {line}" for name, line in COMMANDS.items())
    return _HELP.format(commands=commands)


def _run(name: str, arguments: list[str]) -> int:
    import click

    from octomil.errors import OctomilError

    command: click.Command = import_module(f"octomil.cli.{name}").command
    try:
        with command.make_context(f"octomil {name}", arguments) as context:
            status = command.invoke(context)
    except click.exceptions.Exit as error:  # `--help` was shown
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except OctomilError as error:
        return _complain(str(error))
    return status if isinstance(status, int) else 0


def _complain(message: str, *, status: int = 1) -> int:
    red, plain = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{red}error:{plain} {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
