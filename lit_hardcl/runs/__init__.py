"""What a run leaves behind, and how it is read back."""

from lit_hardcl.runs.reading import (
    differences,
    load_run,
    logged_similarities,
    model_config,
    read_checkpoint,
    run_config,
)
from lit_hardcl.runs.record import RunRecord
from lit_hardcl.runs.summary import summary, yardsticks

__all__ = [
    "RunRecord",
    "differences",
    "load_run",
    "logged_similarities",
    "model_config",
    "read_checkpoint",
    "run_config",
    "summary",
    "yardsticks",
]
