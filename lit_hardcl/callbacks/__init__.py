"""Callbacks that watch a training: they read what its steps return and import no module."""

from lit_hardcl.callbacks.channels_last import ChannelsLast
from lit_hardcl.callbacks.collapse_alarm import CollapseAlarm
from lit_hardcl.callbacks.compiled import CompileBackbone
from lit_hardcl.callbacks.filter import DifficultyFilter
from lit_hardcl.callbacks.linear import OnlineLinearProbe
from lit_hardcl.callbacks.neighbours import OnlineKNN
from lit_hardcl.callbacks.scheduled import ScheduledSetting
from lit_hardcl.callbacks.similarities import SimilarityStatistics
from lit_hardcl.callbacks.statistics import OnlineStatistics

__all__ = [
    "ChannelsLast",
    "CollapseAlarm",
    "CompileBackbone",
    "DifficultyFilter",
    "OnlineKNN",
    "OnlineLinearProbe",
    "OnlineStatistics",
    "ScheduledSetting",
    "SimilarityStatistics",
]
