"""What this library refuses, told apart from every other ``ValueError`` by its class."""


class Refusal(ValueError):
    """An input or a setting that breaks a rule: the message is the rule, then the value, for a person to read.

    The command line prints it as one sentence; ``except ValueError`` catches it too.

    Example:
        >>> raise Refusal("momentum must be in [0, 1), got 1.5")
        Traceback (most recent call last):
        ...
        lit_hardcl.errors.Refusal: momentum must be in [0, 1), got 1.5
    """


def check_choice(name: str, value: object, *choices: object) -> None:
    """Raise a `Refusal` unless the value is one of two or more choices."""
    if value not in choices:
        raise Refusal(f"{name} must be {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}, got {value!r}")


def check_seed(seed: int, name: str = "seed") -> None:
    """Raise a `Refusal` unless torch, NumPy and scikit-learn all take this seed."""
    if not 0 <= seed < 2**32:
        raise Refusal(f"{name} must be {'at least 0' if seed < 0 else 'below 2**32'}, got {seed}")
