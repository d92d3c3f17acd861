"""The one door: which command, and what was refused as one sentence."""

import os
import re
import sys
import warnings

from lit_hardcl.cli import training
from lit_hardcl.cli.commands import compare, evaluate, predict, profile, select, theory
from lit_hardcl.cli.commands.running import run_command
from lit_hardcl.cli.configuration import with_shipped_files
from lit_hardcl.cli.failures import failed
from lit_hardcl.cli.refusals import check_command, said_by_lightning
from lit_hardcl.errors import Refusal
from lit_hardcl.stopping import exit_code, heard, say

COMMANDS = {  # what is no subcommand of LightningCLI: each module's first line says what it is
    "compare": compare,
    "evaluate": evaluate,
    "predict": predict,
    "profile": profile,
    "select": select,
    "theory": theory,
}


def main(args: list[str] | None = None) -> None:
    """Run the command line; what the user got wrong ends in one sentence and exit code 2, what failed around it in 1.

    Args:
        args: subcommand and options; ``None``: those of the process. ``--debug`` among them shows where it was refused.
    """
    if os.getcwd() not in sys.path:  # a console script's path lacks it, and `--model mymodule.Mine` needs it
        sys.path.insert(0, os.getcwd())
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec", module="lightning")  # torch's word to Lightning
    given = sys.argv[1:] if args is None else args
    debug, given = "--debug" in given, [arg for arg in given if arg != "--debug"]
    try:
        with heard():
            _run(given)
    except KeyboardInterrupt as stop:
        say(stop)
        sys.exit(exit_code(stop))
    except Exception as error:
        refusal = refused(error)
        sentence = refusal or failed(error)
        if sentence is None or debug:
            raise
        print(f"error: {sentence}", file=sys.stderr)  # noqa: T201
        sys.exit(2 if refusal else 1)


def _run(given: list[str]) -> None:
    args = with_shipped_files(given)
    if args and args[0][:1] != "-":
        check_command(args[0], (*training.CommandLine.subcommands(), *COMMANDS))
    if args and args[0] in COMMANDS:
        run_command(args[0], COMMANDS[args[0]], args[1:])
    else:
        training.run(args, also=tuple(COMMANDS))


def refused(error: BaseException | None) -> str | None:
    """The sentence of a refusal, ours or Lightning's, or of one behind an error; ``None``: it is somebody's error."""
    lightning = None if error is None else said_by_lightning(error)
    # Older jsonargparse keeps only the text of what it caught.
    union = re.search(r"Union subtypes.*?\n +- (?!Expected|Does not)(.*)", str(error), re.DOTALL)
    while error is not None:
        if isinstance(error, Refusal):  # of a worker of a DataLoader, with its traceback before it as text
            return str(error).strip().rsplit(f"\n{Refusal.__module__}.Refusal: ", 1)[-1]
        error = error.__cause__
    return union[1].splitlines()[0] if union else lightning


if __name__ == "__main__":
    main()
