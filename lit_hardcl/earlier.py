"""Spellings of earlier versions, in saved configurations: each with the one that took its place."""

from typing import Any

MOVED = {  # class paths
    "lit_hardcl.optim.WarmupCosine": "lit_hardcl.schedules.WarmupCosine",
    "lit_hardcl.data.augmentation.Augmentation": "lit_hardcl.views.Augmentation",
    "lit_hardcl.modules.simclr.DifficultPairSimCLR": "lit_hardcl.modules.presets.DifficultPairSimCLR",
    "lit_hardcl.callbacks.statistics.SimilarityStatistics": "lit_hardcl.SimilarityStatistics",
    "lit_hardcl.report.RunRecord": "lit_hardcl.runs.RunRecord",
    "lit_hardcl.report.record.RunRecord": "lit_hardcl.runs.RunRecord",
}
MOVED |= {
    f"lit_hardcl.modules.simclr.{name}": f"lit_hardcl.{name}"
    for name in ("SimCLR", "SimCLRCombined", "SimCLRMargin", "SimCLRRemoval", "SimCLRTemperature")
}
GONE = {  # options of this library's modules, and what does their work
    "channels_last": "the callback lit_hardcl.callbacks.ChannelsLast (-c callbacks/channels_last.yaml)",
}


def renewed(config: Any) -> Any:
    """A saved configuration in today's spellings; what a callback does now is left out."""
    if isinstance(config, list):
        return [renewed(part) for part in config]
    if not isinstance(config, dict):
        return config
    new = {name: renewed(value) for name, value in config.items()}
    for name in ("class_path", "_class_path"):
        if name in new:
            new[name] = MOVED.get(str(new[name]), new[name])
    ours = str(new.get("class_path", new.get("_class_path", ""))).startswith("lit_hardcl.")
    arguments = new.get("init_args", new)
    for name in GONE if ours and isinstance(arguments, dict) else ():
        arguments.pop(name, None)
    return new


def spelt_anew(config: Any) -> list[str]:
    """For each earlier spelling in a configuration, a phrase that names it and today's."""
    if isinstance(config, list):
        return [line for part in config for line in spelt_anew(part)]
    if not isinstance(config, dict):
        return []
    lines = [line for part in config.values() for line in spelt_anew(part)]
    path = str(config.get("class_path", ""))
    if path in MOVED:
        lines.append(f"{path} is now {MOVED[path]}")
    if path.startswith("lit_hardcl."):
        arguments = config.get("init_args")
        lines += [f"{n} is now {GONE[n]}" for n in GONE if isinstance(arguments, dict) and n in arguments]
    return lines
