"""What this library refuses, told apart from every other ``ValueError`` by its class, and what it asks of numbers."""

import math
from numbers import Integral
from typing import Any


class Refusal(ValueError):
    """An input or a setting that breaks a rule: the message is the rule, then the value, for a person to read.

    The command line prints it as one sentence; ``except ValueError`` catches it too.

    Example:
        >>> raise Refusal("momentum must be in [0, 1), got 1.5")
        Traceback (most recent call last):
        ...
        lit_hardcl.errors.Refusal: momentum must be in [0, 1), got 1.5
    """


def is_whole(value: Any, lowest: float = 1, highest: float = 2**63 - 1) -> bool:
    """Whether this is a whole number of the range, and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool) and lowest <= int(value) <= highest


def check_whole(lowest: int, highest: int = 2**63 - 1, /, **numbers: Any) -> None:
    """Refuse what is no whole number from ``lowest`` to ``highest``, by its name; ``None`` is left to who takes it.

    Example:
        >>> check_whole(1, k=float("nan"))
        Traceback (most recent call last):
        ...
        lit_hardcl.errors.Refusal: k must be at least 1, got nan: a whole number is needed
    """
    for name, value in numbers.items():
        if value is not None and not is_whole(value, lowest, highest):
            rule = f"at most {highest}" if is_whole(value, lowest, math.inf) else f"at least {lowest}"
            why = "" if is_whole(value, -math.inf, math.inf) else ": a whole number is needed"
            raise Refusal(f"{name} must be {rule}, got {value!r}{why}")


def check_given(**numbers: Any) -> None:
    """Refuse a missing number, by its name: a YAML's null, which the parser takes for any."""
    if missing := [name for name, value in numbers.items() if value is None]:
        raise Refusal(f"{missing[0]} must be a number, got None")


def check_positive(**numbers: Any) -> None:
    """Refuse what is not above 0, or above 1e30, which float32 cannot reckon with, by its name."""
    for name, value in numbers.items():
        if isinstance(value, str) or not 0 < value <= 1e30:
            raise Refusal(f"{name} must be positive and at most 1e30, got {value!r}")


def check_range(interval: str, /, **numbers: Any) -> None:
    """Refuse what lies outside an interval such as ``"[0, 1)"``, by its name.

    Example:
        >>> check_range("[0, 1)", momentum=1.0)
        Traceback (most recent call last):
        ...
        lit_hardcl.errors.Refusal: momentum must be in [0, 1), got 1.0
    """
    lowest, highest = (float(end) for end in interval[1:-1].split(","))
    for name, value in numbers.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_end = value in ([lowest] * (interval[0] == "[") + [highest] * (interval[-1] == "]"))
        if not (is_number and (lowest < value < highest or is_end)):
            raise Refusal(f"{name} must be in {interval}, got {value!r}")


def check_choice(name: str, value: object, *choices: object) -> None:
    """Raise a `Refusal` unless the value is one of two or more choices."""
    if value not in choices:
        raise Refusal(f"{name} must be {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}, got {value!r}")


def check_seed(seed: int, name: str = "seed") -> None:
    """Raise a `Refusal` unless torch, NumPy and scikit-learn all take this seed."""
    if not is_whole(seed, 0, 2**32 - 1):
        raise Refusal(f"{name} must be {'below 2**32' if is_whole(seed, 0, math.inf) else 'at least 0'}, got {seed}")
