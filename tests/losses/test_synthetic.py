"""Synthetic negatives are the papers', of the same draws; and without them nothing has changed."""

import pytest
import reference
import torch
from losses.test_rows import projections
from nets import FlatHead, FlatNet

from lit_hardcl import MoCo
from lit_hardcl.functional import pick_hard
from lit_hardcl.functional.synthetic import KINDS
from lit_hardcl.losses import DifficultPairLoss, MoCHi, Rectangle, SynCo
from lit_hardcl.modules import MomentumContrast

SIZES = (0.5, 1.5, 1.0, 0.3, 0.2, 0.1)


def draw(kind, columns, stream, rows=slice(None)):
    return kind(12, columns, generator=torch.Generator().manual_seed(stream), dtype=torch.float64)[rows]


def loop(z, keys, positives, own, images, key_images, made_by, temperature):
    """NT-Xent of each anchor over its keys and the synthetic ones that a loop makes of the same draws."""
    total = 0.0
    for i in range(12):
        q = (z[i] / z[i].norm()).detach()
        left_out = [k for k in range(len(keys)) if k == own[i] or (key_images[k] == images[i] and k != positives[i])]
        shared = [k for k in range(len(keys)) if k not in left_out]
        negatives = [k for k in shared if k != positives[i]]
        ranked = sorted(negatives, key=lambda k: -reference.cosine(z[i], keys[k]).item())[: made_by.hardest]
        units = [keys[k].detach() / keys[k].detach().norm() for k in ranked]
        logits = [reference.cosine(z[i], keys[k]) / temperature for k in shared]
        for kind, count in made_by.counts.items():
            numbers = draw(torch.rand, 3 * count, 2 * KINDS.index(kind))[i].tolist()
            noise = draw(torch.randn, count * 5, 2 * KINDS.index(kind) + 1)[i].view(count, 5)
            for j in range(count):
                n, m = (units[int(numbers[place] * len(units))] for place in (j, count + j))
                new = reference.synthetic(kind, q, n, m, numbers[2 * count + j], noise[j], made_by.sizes[kind])
                logits.append(reference.cosine(z[i], new) / temperature)
        total = total + torch.stack(logits).logsumexp(0) - reference.cosine(z[i], keys[positives[i]]) / temperature
    return total / 12


MAKERS = {kind: SynCo(4, **{name: 3 * (name == kind) for name in KINDS}, sizes=SIZES) for kind in KINDS}
MAKERS |= {
    "all": SynCo(6, 2, 1, 3, 2, 1, 2, sizes=SIZES),
    "fewer negatives than are asked for": SynCo(100, 2, 2, 2, 2, 2, 2, sizes=SIZES),
    "mochi": MoCHi(5, mixed=4, mixed_with_query=2),
}


@pytest.mark.parametrize("chunk_size", [None, 1, 5])
@pytest.mark.parametrize("name", MAKERS)
def test_each_kind_is_the_papers(name, chunk_size):
    made_by = MAKERS[name]
    positives, own, images = torch.arange(12).roll(6), torch.arange(12), torch.arange(6).repeat(2)
    key_images = torch.cat([torch.full((12,), -1), torch.arange(6), torch.full((6,), 9)])
    found = []
    for way in ("ours", "loop"):
        z = projections().requires_grad_()
        keys = torch.cat([projections(seed=7), projections(seed=8)])
        if way == "ours":
            given = {"anchor_images": images, "key_images": key_images}
            rectangle = Rectangle(z, keys, positives, own, **given)
            criterion = DifficultPairLoss(0.5, chunk_size=chunk_size)
            loss = criterion.of_rectangle(z, keys, positives, own, **given, own_keys=made_by.of(rectangle, draw))
        else:
            loss = loop(z, keys, positives.tolist(), own.tolist(), images.tolist(), key_images.tolist(), made_by, 0.5)
        found.append((loss.detach(), torch.autograd.grad(loss, z)[0]))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_an_anchor_without_negatives_gets_its_opposite():
    z = projections()[:2]
    nobody = torch.zeros(2, dtype=torch.long)
    rectangle = Rectangle(z, z.flip(0), torch.tensor([0, 1]), None, None, None, None, None, nobody, nobody)
    maker = SynCo(4, 1, 1, 1, 1, 1, 1).of(rectangle, lambda kind, columns, stream, rows=None: kind(2, columns))
    made = maker.make(slice(0, 2), torch.zeros(2, 2, dtype=torch.float64))
    unit = z / z.norm(dim=1, keepdim=True)
    torch.testing.assert_close(made, -unit.unsqueeze(1).expand(2, 6, 5))


def test_draws_reach_every_hard_negative_and_no_other():
    similarity, is_negative = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]]), torch.tensor([[False, True, True, True, True]])
    found = pick_hard(similarity, is_negative, 3, torch.linspace(0, 0.9999, 50)[None])
    assert found.unique().tolist() == [1, 2, 3]
    assert pick_hard(similarity, torch.zeros_like(is_negative), 3, torch.zeros(1, 2)).tolist() == [[-1, -1]]


def images(seed):
    return torch.randn(12, 1, 4, 5, generator=torch.Generator().manual_seed(seed))


def losses(synthetic, epochs=(0,), **settings):
    torch.manual_seed(0)
    moco = MoCo(FlatNet(20), 0.5, FlatHead(), queue_size=20, synthetic=synthetic, **settings)
    values = []
    for step in range(3):
        loss, _ = moco.contrast(images(step), torch.arange(6))
        loss.backward()
        values.append(loss.detach())
    return torch.stack(values), moco.backbone.net[-1].weight.grad if hasattr(moco.backbone, "net") else next(
        moco.backbone.parameters()
    ).grad


@pytest.mark.parametrize(
    "synthetic", [MoCHi(4, 0, 0), SynCo(4, 0, 0, 0, 0, 0, 0), SynCo(warm_up=1)], ids=["mochi", "synco", "warm-up"]
)
def test_without_synthetic_points_it_is_moco(synthetic):
    for found, due in zip(losses(synthetic), losses(None), strict=True):
        assert torch.equal(found, due)


def test_synthetic_points_make_the_loss_larger_with_every_criterion():
    assert (losses(MoCHi(4, 5, 5))[0] > losses(None)[0]).all()
    treated = {"margin": 0.1, "pos_high": 0.1, "pos_low": 0.5}
    assert (losses(SynCo(4, 1, 1, 1, 1, 1, 1), **treated)[0] > losses(None, **treated)[0]).all()


def test_draws_depend_on_seed_epoch_and_batch(monkeypatch):
    def loss(seed=0, epoch=0, batch_idx=0):
        monkeypatch.setattr(MomentumContrast, "current_epoch", epoch)
        torch.manual_seed(0)
        moco = MoCo(FlatNet(20), 0.5, FlatHead(), queue_size=20, synthetic=MoCHi(4, 3, 3, seed=seed))
        return moco._contrast(list(images(0).chunk(2)), None, batch_idx)[0].item()

    assert loss() == loss()
    assert len({loss(), loss(seed=1), loss(epoch=1), loss(batch_idx=1)}) == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SynCo(hardest=0), "hardest must be at least 1, got 0"),
        (lambda: SynCo(mixed=-1), "mixed must be at least 0, got -1"),
        (lambda: MoCHi(mixed_with_query=-1), "mixed_with_query must be at least 0, got -1"),
        (lambda: SynCo(sizes=(0.5, 1.5)), "sizes must be 6 numbers, of interpolated"),
        (lambda: SynCo(sizes=(0.5, 0.5, 1, 1, 1, 1)), r"sizes of extrapolated must be in \[1, 1e6\], got 0.5"),
        (lambda: SynCo(sizes=(0.5, 1.5, 1, 0.0, 1, 1)), "sizes of noised must be positive"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_named(call, message, unchecked_shapes):
    with pytest.raises(ValueError, match=message):
        call()
