"""Losses that know labels, or find false negatives without them, at the ends of their settings."""

import processes
import pytest
import reference
import torch
from losses.test_rows import LABELS, projections
from nets import FlatHead, FlatNet

from lit_hardcl import DifficultPairLoss
from lit_hardcl.losses import FNCLoss, HardSupConLoss, PaCoLoss, SupConLoss
from lit_hardcl.modules import Contrastive

TARGETS = torch.tensor(LABELS)
ONCE = torch.arange(6)
SAME = {  # two losses, and the targets with which they are the same
    "paco without centres": (PaCoLoss(0.5), SupConLoss(0.5), TARGETS),
    "h-scl without beta, of labels that occur once": (HardSupConLoss(0.5, beta=0.0), DifficultPairLoss(0.5), ONCE),
    "fnc of no key": (FNCLoss(0.5, top_k=0, threshold=None), DifficultPairLoss(0.5), None),
    "fnc above 1": (FNCLoss(0.5, threshold=1.5), DifficultPairLoss(0.5), None),
    "fnc above 1, attracted": (FNCLoss(0.5, "attract", threshold=1.5), DifficultPairLoss(0.5), None),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("treatment", [(0.0, 1.0), (0.1, 0.6)])
def test_at_the_end_of_its_settings_it_is_another_loss(name, treatment):
    *both, targets = SAME[name]
    found = []
    for criterion in both:
        criterion.pos_high, criterion.pos_low, (criterion.margin, criterion.temperature_scale) = 0.2, 0.6, treatment
        z = projections().requires_grad_()
        loss = criterion(*z.chunk(2), targets=targets)
        found.append((loss.detach(), torch.autograd.grad(loss, z)[0]))
        criterion.margin, criterion.temperature_scale = 0.0, 1.0
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_every_negative_that_is_attracted_makes_a_supcon_of_one_label():
    z = projections().chunk(2)
    found = FNCLoss(0.5, "attract", threshold=-1.0)(*z)
    torch.testing.assert_close(found, SupConLoss(0.5)(*z, targets=torch.zeros(6, dtype=torch.long)))


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_the_centres_are_learned(chunk_size):
    criterion = PaCoLoss(0.5, num_classes=3, dim=5, alpha=0.2, chunk_size=chunk_size).double()
    criterion(*projections().chunk(2), targets=TARGETS).backward()
    centres = criterion.centres.detach().clone().requires_grad_()
    reference.paco(projections(), LABELS, 0.5, 0.2, centres).backward()
    torch.testing.assert_close(criterion.centres.grad, centres.grad, rtol=1e-10, atol=1e-12)


def test_a_module_trains_the_centres_and_saves_them():
    module = Contrastive(FlatNet(), PaCoLoss(0.5, num_classes=3, dim=5), FlatHead())
    module.scheduler = None
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert any(parameter is module.criterion.centres for group in groups for parameter in group["params"])
    assert "criterion.centres" in module.state_dict()


def test_the_centres_gradient_of_two_processes_is_that_of_one(tmp_path):
    parts = processes.in_two(processes.centres_gradient, tmp_path)
    alone = processes.centres_gradient(0, 1)
    torch.testing.assert_close(sum(parts) / 2, alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HardSupConLoss(0.5, beta=-1.0), r"beta must be in \[0, 1e6\], got -1.0"),
        (lambda: PaCoLoss(0.5, num_classes=3, alpha=0.0), r"alpha must be in \(0, 1e6\], got 0.0"),
        (lambda: FNCLoss(0.5, mode="drop"), "mode must be 'eliminate' or 'attract', got 'drop'"),
        (lambda: FNCLoss(0.5, threshold=3.0), r"threshold must be in \[-1, 2\], got 3.0"),
        (lambda: FNCLoss(0.5, top_k=-1), "top_k must be at least 0, got -1"),
        (
            lambda: PaCoLoss(0.5, num_classes=2, dim=5)(*projections().chunk(2), targets=TARGETS),
            "targets must be below the number of classes, 2, got 2",
        ),
        (lambda: HardSupConLoss(0.5, 1.0)(*projections().chunk(2)), "a loss of labels needs targets, got none"),
        (lambda: PaCoLoss(0.5, 3, 5)(*projections().chunk(2)), "a loss of labels needs targets, got none"),
        (
            lambda: PaCoLoss(0.5, 3, 7)(*projections().chunk(2), targets=TARGETS),
            "centres must be as wide as the projections, 5, got dim=7",
        ),
    ],
)
def test_what_breaks_a_rule_is_named(call, message, unchecked_shapes):
    with pytest.raises(ValueError, match=message):
        call()
