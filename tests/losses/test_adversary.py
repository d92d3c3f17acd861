"""A round of SPACL's game on embeddings of any kind: who gets which gradient, and what is handed back."""

import torch

from lit_hardcl.functional import unit_vectors
from lit_hardcl.losses.adversary import adversarial
from lit_hardcl.models import Discriminator, Generator


def test_each_loss_has_its_gradient_in_its_own_player_alone():
    torch.manual_seed(0)
    players = {"generator": Generator(6, 3, 8), "discriminator": Discriminator(6, 8)}
    anchors, positives = torch.randn(4, 6).requires_grad_(), torch.randn(4, 2, 6).requires_grad_()
    generated, losses, seen = adversarial(*players.values(), unit_vectors(anchors), positives, torch.randn(4, 3))
    for name, loss in losses.items():
        loss.backward()
        for player, module in players.items():
            reached = [parameter.grad is not None and parameter.grad.any() for parameter in module.parameters()]
            assert any(reached) == (player in name)
            module.zero_grad()
    assert anchors.grad is None
    assert positives.grad is None
    assert not generated.requires_grad
    torch.testing.assert_close(generated.norm(dim=1), torch.ones(4))
    assert seen["generated_similarity"] == (unit_vectors(anchors) * generated).sum(dim=1).mean()
    assert not any(number.requires_grad for number in seen.values())
