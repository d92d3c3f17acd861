"""The names of the subcommands that are no training, and how they are run."""

import importlib
import re

import jsonargparse

COMMANDS: dict[str, str] = {  # modules of `commands/`, by name only: they stand above the command line
    "compare": "methods x variants x seeds from one YAML, their table and figures",
    "evaluate": "what a backbone's features are worth: probe, neighbours, alignment, uniformity, rank",
    "select": "a core of the training images, chosen with a trained backbone, for --data.train_indices",
    "theory": "the papers' theorems for your own numbers or run: spectrum, bounds, remedies, collapse",
}


class Help(jsonargparse.DefaultHelpFormatter):
    """Help without the names of every class that torch has."""

    def _expand_help(self, action):  # type: ignore[no-untyped-def]
        return re.sub(r", known subclasses: [^)]*", "", super()._expand_help(action))


def run_command(name: str, args: list[str]) -> None:
    """Run a module's ``command``: a function, whose signature is the options, or a dict of functions by name.

    ``defaults``, if the module has it, gives values that the options themselves decide.
    """
    module = importlib.import_module(f"lit_hardcl.cli.commands.{name}")
    defaults = module.defaults(args) if hasattr(module, "defaults") else None
    args = ["--config" if option == "-c" else option for option in args]
    jsonargparse.auto_cli(
        module.command,
        args=args,
        prog=f"lit-hardcl {name}",
        set_defaults=defaults,
        formatter_class=Help,
        allow_abbrev=False,
    )
