"""The losses are those of other libraries, value and gradient, where they have them: `make peers` runs this."""

import pytest
import torch
from losses.test_rows import projections

from lit_hardcl import DifficultPairLoss
from lit_hardcl.losses import DCLLoss, SupConLoss

lightly = pytest.importorskip("lightly.loss", reason="`make peers` has lightly")
metric_learning = pytest.importorskip("pytorch_metric_learning.losses", reason="`make peers` has it")

LABELS = torch.tensor([0, 1, 0, 1, 1, 2])
PAIRS = {  # ours, and theirs of the projections of two views
    "lightly NTXentLoss": (DifficultPairLoss(0.5), lightly.NTXentLoss(0.5)),
    "lightly DCLLoss": (DCLLoss(0.5), lightly.DCLLoss(0.5)),
    "lightly DCLWLoss": (DCLLoss(0.5, "von_mises_fisher", sigma=0.4), lightly.DCLWLoss(0.5, sigma=0.4)),
    "pytorch-metric-learning NTXentLoss": (
        DifficultPairLoss(0.5),
        metric_learning.SelfSupervisedLoss(metric_learning.NTXentLoss(0.5)),
    ),
    "pytorch-metric-learning SupConLoss": (
        lambda *z: SupConLoss(0.5)(*z, targets=LABELS),
        lambda *z: metric_learning.SupConLoss(0.5)(torch.cat(z), LABELS.repeat(2)),
    ),
}


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("name", PAIRS)
def test_value_and_gradient_are_theirs(name):
    found = []
    for loss in PAIRS[name]:
        z = projections().requires_grad_()
        value = loss(*z.chunk(2))
        found.append((value.detach(), torch.autograd.grad(value, z)[0]))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)
