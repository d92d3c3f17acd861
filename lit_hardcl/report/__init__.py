"""What a run leaves behind, and how it is read back."""

from lit_hardcl.report.reading import differences, read_checkpoint, run_config
from lit_hardcl.report.record import RunRecord, log_folder, run_folder
from lit_hardcl.report.runs import load_run, logged_similarities
from lit_hardcl.report.summary import summary, write_json, yardsticks

__all__ = [
    "RunRecord",
    "differences",
    "load_run",
    "log_folder",
    "logged_similarities",
    "read_checkpoint",
    "run_config",
    "run_folder",
    "summary",
    "write_json",
    "yardsticks",
]
