"""What the tests of the command line share: the shipped configurations, and a training of seconds."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
TINY = [
    *("-c", str(CONFIGS / "quickstart.yaml"), "--model.backbone", "nets.FlatNet", "--yardsticks", "false"),
    *("--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.enable_progress_bar", "false"),
]
BACKBONE = ["--backbone", "nets.FlatNet", "--data.dataset", "digits"]
