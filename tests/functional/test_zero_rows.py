"""A row of zeros has no direction: its gradient is 0, and everybody else's is what it was."""

import pytest
import torch

from lit_hardcl.functional import cosine_similarity, nt_xent_rows, unit_vectors
from lit_hardcl.losses import DCLLoss, DifficultPairLoss, SupConLoss, by_rows


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(
    "loss", [DifficultPairLoss(0.5), DCLLoss(0.5), SupConLoss(0.5)], ids=lambda loss: str(loss)[:3]
)
def test_a_row_of_zeros_has_gradient_zero_and_the_others_a_bounded_one(loss, precision):
    z = torch.randn(8, 4).to(precision)
    z[3] = 0
    z.requires_grad_()
    loss(*z.chunk(2), targets=torch.arange(4)).backward()
    assert torch.equal(z.grad[3], torch.zeros(4, dtype=precision))
    assert 0 < z.grad.abs().max() < 10


def test_the_fast_path_the_engine_and_loops_agree_beside_a_row_of_zeros():
    z = torch.randn(8, 4, dtype=torch.double)
    z[3] = 0
    rows, positives = torch.arange(8), (torch.arange(8) + 4) % 8

    def formula(cosines, some):
        own = torch.nn.functional.one_hot(rows[some], 8).bool()
        return nt_xent_rows(cosines / 0.5, positives[some], own)

    def loops(z):
        near = [torch.zeros(4, dtype=z.dtype) if not row.any() else row / row.norm() for row in z]
        logits = torch.stack([torch.stack([a @ b / 0.5 for b in near]) for a in near])
        others = logits.masked_fill(torch.eye(8, dtype=torch.bool), -torch.inf)
        return (others.logsumexp(1) - logits[rows, positives]).mean()

    found = []
    for each in (lambda z: DifficultPairLoss(0.5)(*z.chunk(2)), lambda z: by_rows(z, None, formula), loops):
        leaf = z.clone().requires_grad_()
        value = each(leaf)
        value.backward()
        found.append((value.detach(), leaf.grad))
    for other in found[:2]:
        torch.testing.assert_close(other, found[2])


def test_other_rows_keep_their_bits():
    vectors = torch.randn(64, 12) * torch.logspace(-10, 10, 64).unsqueeze(1)
    ours, plain = (vectors.clone().requires_grad_() for _ in range(2))
    weights = torch.randn(64, 12)
    (unit_vectors(ours) * weights).sum().backward()
    (torch.nn.functional.normalize(plain) * weights).sum().backward()
    assert torch.equal(unit_vectors(vectors), torch.nn.functional.normalize(vectors))
    assert torch.equal(ours.grad, plain.grad)
    assert cosine_similarity(torch.zeros(1, 3)).item() == 0
