"""The subcommands that are no training: a module each, whose ``command`` is what runs, its signature the options."""

import importlib

import jsonargparse

COMMANDS: dict[str, str] = {
    "theory": "the papers' theorems for numbers of your own or for a run: spectrum, bounds, remedies, collapse",
}


def run_command(name: str, args: list[str]) -> None:
    """Run a subcommand of ``COMMANDS`` with these options; ``command`` may be a dict of functions, each by its name."""
    command = importlib.import_module(f"lit_hardcl.commands.{name}").command
    jsonargparse.auto_cli(command, args=args, prog=f"lit-hardcl {name}")
