"""Weights of a backbone out of anybody's checkpoint: found by their names, loaded whole or not at all."""

from collections.abc import Mapping

from torch import Tensor, nn

from lit_hardcl.errors import Refusal


def load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], prefix: str | None = None) -> str:
    """Load the part of ``state`` whose names are those of ``backbone`` behind a prefix, and return the prefix.

    Args:
        backbone: takes the weights.
        state: names and tensors; those without the prefix, such as a projection head's, are left out.
        prefix: beginning of names, such as ``backbone.`` or ``module.encoder.``; None to find the one that fits.

    Raises:
        ValueError: naming what is missing, left over or of another shape, or if several prefixes fit.
    """
    ours = backbone.state_dict()
    prefix = _found(ours, state) if prefix is None else prefix
    theirs = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    if wrong := misfit(ours, theirs):
        raise Refusal(f"the checkpoint does not fit this {type(backbone).__name__} by prefix {prefix!r}: {wrong}")
    backbone.load_state_dict(theirs)
    return prefix


def misfit(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str:
    """Say in what their weights differ from ours by name and shape; empty if in nothing."""
    missing, unexpected = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    both = sorted(name for name in ours.keys() & theirs.keys() if _shape(ours[name]) != _shape(theirs[name]))
    if not (missing or unexpected or both):
        return ""
    reshaped = [f"{name} ({_shape(theirs[name])} there, {_shape(ours[name])} here)" for name in both]
    return f"{_some(missing)} missing, {_some(unexpected)} unexpected, {_some(reshaped)} of another shape"


def _found(ours: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """The prefix behind which most of our names stand; of several that are alike, ``backbone.`` or none at all."""
    counts: dict[str, int] = {}
    for name in state:
        parts = name.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in ours:
                start = ".".join([*parts[:place], ""]) if place else ""
                counts[start] = counts.get(start, 0) + 1
    best = [start for start, count in counts.items() if count == max(counts.values())]
    for start in ("backbone.", "", *(best if len(best) == 1 else [])):
        if start in best:
            return start
    if not best:
        return ""
    raise Refusal(f"prefix must be given, since several fit: {', '.join(sorted(best))}")


def _shape(value: object) -> tuple[int, ...] | None:
    """Of a tensor; an extra state may be anything."""
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _some(names: list[str]) -> str:
    return "nothing" if not names else ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
