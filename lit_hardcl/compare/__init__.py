"""Comparisons: methods x variants x seeds, each run a training of its own, and the tables and figures of them all."""

from lit_hardcl.compare.launchers.local import alone_in, run_all, summary_of
from lit_hardcl.compare.plan import Arm, Training, trainings
from lit_hardcl.compare.tables import Comparison

__all__ = ["Arm", "Comparison", "Training", "alone_in", "run_all", "summary_of", "trainings"]
