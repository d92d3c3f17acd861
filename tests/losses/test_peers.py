"""The losses are those of other libraries, value and gradient, where they have them: `make peers` runs this."""

import pytest
import reference
import torch
from losses.test_rows import projections

from lit_hardcl import DifficultPairLoss
from lit_hardcl.losses import DCLLoss, HardSupConLoss, SupConLoss

lightly = pytest.importorskip("lightly.loss", reason="`make peers` has lightly")
metric_learning = pytest.importorskip("pytorch_metric_learning.losses", reason="`make peers` has it")

LABELS, EQUALLY_MANY = torch.tensor([0, 1, 0, 1, 1, 2]), torch.tensor([0, 1, 0, 1, 2, 2])
UNKNOWN, NUMBERED = torch.tensor([0, 1, 0, -1, 1, -1]), torch.tensor([0, 1, 0, 2, 1, 3])


def ours_of(kind, targets, *settings):
    """Our loss of labels, of a temperature and then of two views."""
    return lambda temperature: lambda *z: kind(temperature, *settings)(*z, targets=targets)


def theirs_of(kind, labels):
    """The same of pytorch-metric-learning."""
    return lambda temperature: lambda *z: kind(temperature)(torch.cat(z), labels.repeat(2))


def ours_of_a_bank(temperature):
    """With a bank they leave the batch's other keys out, and one view asks: here all show the image of every anchor."""

    def loss(z0, z1):
        images = torch.zeros(len(z0), dtype=torch.long)
        keys, of_keys = torch.cat([z1, BANK]), torch.cat([images, torch.full((len(BANK),), -1)])
        given = {"anchor_images": images, "key_images": of_keys}
        return DifficultPairLoss(temperature).of_rectangle(z0, keys, torch.arange(len(z0)), **given)

    return loss


def theirs_of_a_bank(temperature):
    loss = lightly.NTXentLoss(temperature, memory_bank_size=BANK.shape).double()
    loss.memory_bank.bank.copy_(BANK)
    return loss


BANK = torch.nn.functional.normalize(projections(10, seed=1))
PAIRS = {  # of a temperature: ours, and theirs of the projections of two views
    "lightly NTXentLoss": (DifficultPairLoss, lightly.NTXentLoss),
    "lightly NTXentLoss, memory bank": (ours_of_a_bank, theirs_of_a_bank),
    "lightly DCLLoss": (DCLLoss, lightly.DCLLoss),
    "lightly DCLWLoss": (
        lambda temperature: DCLLoss(temperature, "von_mises_fisher", sigma=0.4),
        lambda temperature: lightly.DCLWLoss(temperature, sigma=0.4),
    ),
    "pytorch-metric-learning NTXentLoss": (
        DifficultPairLoss,
        lambda temperature: metric_learning.SelfSupervisedLoss(metric_learning.NTXentLoss(temperature)),
    ),
    # Of labels, its NT-Xent has no other positives in the sum, unlike SupCon; and it is the mean over pairs, not over
    # anchors, which is the same where labels are equally many.
    "pytorch-metric-learning NTXentLoss, labels": (
        ours_of(HardSupConLoss, EQUALLY_MANY, 0.0),
        theirs_of(metric_learning.NTXentLoss, EQUALLY_MANY),
    ),
    "pytorch-metric-learning SupConLoss": (
        ours_of(SupConLoss, LABELS),
        theirs_of(metric_learning.SupConLoss, LABELS),
    ),
    # To it -1 is a class like others; to us, nobody's.
    "pytorch-metric-learning SupConLoss, unknown": (
        ours_of(SupConLoss, UNKNOWN),
        theirs_of(metric_learning.SupConLoss, NUMBERED),
    ),
}


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")  # lightly's DCLWLoss
@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("name", PAIRS)
def test_value_and_gradient_are_theirs(name, temperature):
    found = []
    for of_temperature in PAIRS[name]:
        z = projections().requires_grad_()
        value = of_temperature(temperature)(*z.chunk(2))
        found.append((value.detach(), torch.autograd.grad(value, z)[0]))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_without_another_label_theirs_is_zero_and_ours_the_papers_sum():
    z, one = projections(), torch.zeros(6, dtype=torch.long)
    assert metric_learning.SupConLoss(0.5)(z, one.repeat(2)) == 0
    loss = SupConLoss(0.5)(*z.chunk(2), targets=one)
    torch.testing.assert_close(loss, reference.supcon(z, one.tolist(), 0.5, "out"), rtol=1e-10, atol=1e-12)
    assert loss > 1
