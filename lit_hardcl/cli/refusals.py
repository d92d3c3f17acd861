"""What the command line refuses: a trainer's numbers that Lightning takes, and other libraries' words, shortened."""

import difflib
import re
import sys
import traceback
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lit_hardcl.errors import Refusal

LEAST = {  # of the trainer's numbers for which Lightning has no rule: it divides by them, or does something else
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,  # below, descent is ascent
    "log_every_n_steps": 0,
    "min_epochs": 0,
    "min_steps": 0,
    "num_sanity_val_steps": -1,
}
MOST_PROCESSES = 256  # on a CPU all are started at once
NOTHING = ("max_epochs", "max_steps", "limit_train_batches", "val_check_interval")
ELSEWHERE = (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException)


def check_trainer(settings: Any) -> None:
    """Refuse numbers of a trainer that Lightning does not refuse itself.

    Raises:
        Refusal: naming the option, the rule and the value.
    """
    for name, least in LEAST.items():
        value = settings.get(name)
        if value is not None and not value >= least:
            raise Refusal(f"trainer.{name} must be at least {least}, got {value}")
    for name in NOTHING:
        if (value := settings.get(name)) == 0 and not isinstance(value, bool):
            raise Refusal(f"trainer.{name} must not be 0, got {value}: nothing would be done")
    if isinstance(longest := settings.get("max_time"), dict) and timedelta(**longest) <= timedelta():
        raise Refusal(f"trainer.max_time must be above 0, got {longest}")
    devices = str(settings.get("devices"))
    if devices.isdecimal() and int(devices) > MOST_PROCESSES:
        raise Refusal(f"trainer.devices must be at most {MOST_PROCESSES} processes of a machine, got {devices}")


def check_read(args: list[str], option: str, *harmless: str) -> None:
    """Refuse an option that this command would pass over, unless its value asks for nothing."""
    for arg, after in zip(args, [*args[1:], ""], strict=True):
        name, equals, value = arg.partition("=")
        if name == option and (value if equals else after) not in harmless:
            raise Refusal(f"{option} is of no use to this command, got {value if equals else after}: leave it out")


def check_command(name: str, known: Iterable[str]) -> None:
    """Refuse a misspelt command, with the nearest and all others."""
    if name not in (names := list(known)):
        also = f": {near}" if (near := nearest(name, names)) else ""
        raise Refusal(f"command must be one of {', '.join(names)}, got {name!r}{also}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A question after the name that was perhaps meant; empty if none is near."""
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else ""


def program() -> str:
    """How the command line was called."""
    return "train.py" if Path(sys.argv[0]).name == "train.py" else "lit-hardcl"


def said_by_lightning(error: BaseException) -> str | None:
    """What Lightning refuses by itself, with none but its own code and the parser's below ours; ``None``: not that."""
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    rooms = [name.split(".")[0] for name in frames]
    below = rooms[len(rooms) - rooms[::-1].index("lit_hardcl") :] if "lit_hardcl" in rooms else ["somebody's"]
    others = set(below) - {"contextlib"}
    own = isinstance(error, ELSEWHERE) and bool(others) and others <= {"lightning", "jsonargparse"}
    return f"Lightning: {' '.join(str(error).split())}" if own or isinstance(error, MisconfigurationException) else None


class OneSentence(jsonargparse.ArgumentParser):
    """A parser that says what is wrong in one sentence."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End with exit code 2, as argparse does, but with the option, the rule and the value alone."""
        if not self.exit_on_error:
            super().error(message, ex)  # of a part of the options: the whole's parser says it
        print(f"error: {self.shortened(message)}", file=sys.stderr)
        sys.exit(2)

    def shortened(self, message: str) -> str:
        """The option, what it must be, and its value."""
        words = re.sub(r"<class '(?:\w+\.)*(\w+)'>|typing\.(?=Literal)", r"\1", message)
        words = words.replace("Unrecognized", "unrecognized")
        if unknown := re.search(r"unrecognized arguments: (--[^\s=]+)", words):
            near = nearest(unknown[1], self._option_string_actions)
            return f"{words}; {near or f'{self.prog} --help lists them'}"
        keys = list(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', words)))
        if not keys:
            return " ".join(words.split())
        option = ".".join(key for place, key in enumerate(keys) if not place or not key.startswith(keys[0] + "."))
        words = re.sub(r"NestedArg\(key=.*, val='?(.*?)'?\)$", r"\1", words, flags=re.M)
        found = re.search(r"G(?:ot|iven) value: (.*?)(?:\. Got value.*)?$", words, re.M)
        value = found[1] if found else ""
        if unknown := re.search(r"(?:Option|Key) '(\S+)' is not (?:accepted|expected)", words):
            return f"{option} has no option {unknown[1]}, got {value}"
        if missing := re.search(r"No module named '\S+'|module '\S+' has no attribute '\S+'", words):
            return f"{option} names what cannot be imported, {missing[0]}, got {value}"
        rules = re.findall(
            r"(?:Expected|Import path does not correspond to) an? (.+?)(?:\. Got value.*)?$", words, re.M
        )
        rules = [rule for rule in dict.fromkeys(rules) if not rule.startswith(("NoneType", "path but", "config path"))]
        rules = ["a known class or the import path of one" if rule.startswith("dot import") else rule for rule in rules]
        return f"{option} must be {' or '.join(rules)}, got {value}" if rules else " ".join(words.split())
