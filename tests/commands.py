"""What the tests of the command line share: the shipped configurations, a training of seconds, and what it left."""

from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
TINY = [
    *("-c", str(CONFIGS / "quickstart.yaml"), "--model.backbone", "nets.FlatNet", "--yardsticks", "false"),
    *("--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.enable_progress_bar", "false"),
]
BACKBONE = ["--backbone", "nets.FlatNet", "--data.dataset", "digits"]


def newest(folder):
    """What a run left in its newest checkpoint; plain values and tensors only, or this fails."""
    return torch.load(next(folder.rglob("last.ckpt")), weights_only=True)


def assert_same(one, other):
    """Same structure, same values, same bits."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other
