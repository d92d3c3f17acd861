"""What a run leaves behind, and how it is read back."""

from lit_hardcl.runs.checkpoints import WholeCheckpointIO, whole_checkpoints
from lit_hardcl.runs.layout import Run, in_order, log_folder, run_of
from lit_hardcl.runs.logging import claim_folder, log_figure
from lit_hardcl.runs.reading import (
    differences,
    logged_similarities,
    model_config,
    read_checkpoint,
    read_config,
    run_config,
    seeded,
)
from lit_hardcl.runs.record import RunRecord
from lit_hardcl.runs.summary import Summary, read_summary, summary_of, yardsticks

__all__ = [
    "Run",
    "RunRecord",
    "Summary",
    "WholeCheckpointIO",
    "claim_folder",
    "differences",
    "in_order",
    "log_figure",
    "log_folder",
    "logged_similarities",
    "model_config",
    "read_checkpoint",
    "read_config",
    "read_summary",
    "run_config",
    "run_of",
    "seeded",
    "summary_of",
    "whole_checkpoints",
    "yardsticks",
]
