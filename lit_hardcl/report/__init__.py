"""What a run leaves behind, and how it is read back."""

from lit_hardcl.report.reading import differences, read_checkpoint, run_config
from lit_hardcl.report.record import RunRecord
from lit_hardcl.report.runs import load_run, logged_similarities
from lit_hardcl.report.summary import summary, yardsticks

__all__ = [
    "RunRecord",
    "differences",
    "load_run",
    "logged_similarities",
    "read_checkpoint",
    "run_config",
    "summary",
    "yardsticks",
]
