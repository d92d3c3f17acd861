"""How a command is run: its options are its signature, or it reads them itself."""

import re
from contextvars import ContextVar
from types import ModuleType

import jsonargparse

from lit_hardcl.cli.refusals import OneSentence, program

ASKED: ContextVar[tuple[str, ...]] = ContextVar("the command line, for records of it", default=())


class Help(jsonargparse.DefaultHelpFormatter):
    """Help without the names of every class that torch has."""

    def _expand_help(self, action):  # type: ignore[no-untyped-def]
        return re.sub(r", known subclasses: [^)]*", "", super()._expand_help(action))


def run_command(name: str, module: ModuleType, args: list[str]) -> None:
    """Run a module's ``command``: a function, whose signature is the options, or a dict of functions by name.

    ``defaults``, if the module has it, gives values that the options themselves decide. A module with ``run`` reads its
    options itself.
    """
    ASKED.set((name, *args))
    if hasattr(module, "run"):
        module.run(args)
        return
    defaults = module.defaults(args) if hasattr(module, "defaults") else None
    jsonargparse.auto_cli(
        module.command,
        args=["--config" if option == "-c" else option for option in args],
        prog=f"{program()} {name}",
        set_defaults=defaults,
        formatter_class=Help,
        allow_abbrev=False,
        parser_class=OneSentence,
    )
