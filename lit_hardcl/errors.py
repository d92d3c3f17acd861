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
