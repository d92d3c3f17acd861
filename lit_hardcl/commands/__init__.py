"""The subcommands that are no training: a module each, whose ``command`` is what runs, its signature the options."""

import importlib
import re

import jsonargparse

COMMANDS: dict[str, str] = {
    "evaluate": "what a backbone's features are worth: probe, neighbours, alignment, uniformity, rank",
    "select": "a core of the training images, chosen with a trained backbone, for --data.train_indices",
}


class Help(jsonargparse.DefaultHelpFormatter):
    """Help without the names of every class that torch has."""

    def _expand_help(self, action):  # type: ignore[no-untyped-def]
        return re.sub(r", known subclasses: [^)]*", "", super()._expand_help(action))


def run_command(name: str, args: list[str]) -> None:
    """Run a subcommand of ``COMMANDS`` with these options.

    ``command`` may be a dict of functions, each by its name; ``defaults``, if the module has one, gives values that the
    options themselves decide.
    """
    module = importlib.import_module(f"lit_hardcl.commands.{name}")
    defaults = module.defaults(args) if hasattr(module, "defaults") else None
    jsonargparse.auto_cli(
        module.command, args=args, prog=f"lit-hardcl {name}", set_defaults=defaults, formatter_class=Help
    )
