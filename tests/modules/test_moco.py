"""MoCo: what its queries are contrasted with, what its queue holds, and that it learns, resumes and distributes."""

import lightning.pytorch as pl
import processes
import pytest
import reference
import torch
from nets import FlatHead, FlatNet
from trainers import Losses, batch, trainer

from lit_hardcl import SPACL, ContrastiveDataModule, MoCo
from lit_hardcl.models import ResNet

TREATED = {"margin": 0.1, "temperature_scale": 0.6, "pos_high": 0.15, "pos_low": 0.6}


def module(**settings):
    torch.manual_seed(0)
    made = MoCo(FlatNet(20), 0.5, FlatHead(), **settings).double()
    for slow in (*made.key_backbone.parameters(), *made.key_head.parameters()):
        torch.nn.init.normal_(slow)  # as if the two encoders had parted
    return made


def images(count=4, seed=1):
    return torch.randn(2 * count, 1, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mask_own", [True, False])
@pytest.mark.parametrize("settings", [{}, TREATED], ids=["plain", "treated"])
@pytest.mark.parametrize("again", [None, [1, 5, 3, 9]], ids=["unknown", "two images again"])
def test_the_loss_is_the_papers_sum_over_the_batchs_keys_and_the_queue(settings, again, mask_own):
    moco, first, second = module(queue_size=20, mask_own=mask_own, **settings), images(seed=1), images(seed=2)
    moco.contrast(first, torch.arange(4))
    loss, features = moco.contrast(second, None if again is None else torch.tensor(again))

    queries = moco.projection_head(moco.backbone(second))
    slow = [moco.key_backbone(rows) for rows in (second, first)]
    keys, by = torch.cat([moco.key_head(rows) for rows in slow]), torch.cat(slow)
    total = 0.0
    for i in range(8):
        others = [k for k in range(16) if k != i]
        if again is not None and mask_own:
            others = [k for k in others if k < 8 or k % 4 != again[i % 4]]
        ranked = [float(reference.cosine(by[i], by[k])) for k in others]
        chosen = reference.eq12_row(ranked, 0.15, 0.6) if settings else [False] * len(others)
        logits = {}
        for k, difficult in zip(others, chosen, strict=True):
            s = reference.cosine(queries[i], keys[k])
            logits[k] = (s + 0.1) / (0.5 * 0.6) if difficult else s / 0.5
        total = total + torch.stack(list(logits.values())).logsumexp(0) - logits[(i + 4) % 8]
    torch.testing.assert_close(loss, total / 8, rtol=1e-10, atol=0)
    assert torch.equal(features, moco(second))


@pytest.mark.parametrize("size", [0, 1, 5, 8, 11, 24, 100])
def test_the_queue_holds_the_newest_keys_of_any_number(size):
    moco = module(queue_size=size)
    seen = []
    for step in range(4):
        rows = images(seed=step)
        moco.contrast(rows)
        by_image = moco.key_backbone(rows).unflatten(0, (2, 4)).transpose(0, 1).flatten(0, 1)
        seen.append(torch.nn.functional.normalize(by_image))
    newest = torch.cat(seen)[max(0, 32 - size) :] if size else torch.empty(0, 12, dtype=torch.float64)
    held = moco.queued_features[: min(size, 32)]
    turn = 32 % size if 0 < size < 32 else 0
    torch.testing.assert_close(held.roll(-turn, dims=0), newest)
    assert not moco.queued_features[32:].any()


@pytest.mark.parametrize("size", [3, 8, 11, 24])
def test_the_queue_knows_whose_its_keys_are(size):
    moco, seen = module(queue_size=size), []
    for step in range(4):
        indices = torch.arange(4) + 10 * step
        share = moco._own_share(indices - 10)
        queued = moco.queued_indices[: moco._filled]
        torch.testing.assert_close(share, (queued == (indices - 10)[:, None]).float().mean().nan_to_num())
        moco.contrast(images(seed=step), indices)
        seen.append(indices.repeat_interleave(2))
    newest = torch.cat(seen)[32 - size :]
    assert torch.equal(moco.queued_indices.roll(-(32 % size), dims=0), newest)


def test_the_share_of_own_keys_is_logged(tmp_path):
    data = ContrastiveDataModule(batch_size=32, train_size=64)
    fit = trainer(tmp_path, max_epochs=2, limit_val_batches=0)
    fit.fit(MoCo(FlatNet(), 0.5, FlatHead(), queue_size=256), data)
    torch.testing.assert_close(
        fit.callback_metrics["own_keys_in_queue"], torch.tensor(1 / 96)
    )  # 2 of the 192 keys of three steps


def test_a_queue_shorter_than_an_epoch_trains_to_the_same_bits_masked_or_not(tmp_path):
    def trained(**settings):
        moco, data = MoCo(FlatNet(), 0.5, FlatHead(), queue_size=64, **settings), ContrastiveDataModule(batch_size=32)
        trainer(tmp_path, max_steps=6, limit_val_batches=0).fit(moco, data)
        return moco.state_dict()

    torch.manual_seed(0)
    masked = trained(**TREATED)
    torch.manual_seed(0)
    for name, value in trained(mask_own=False, **TREATED).items():
        assert torch.equal(value, masked[name]), name


def test_a_checkpoint_without_indices_loads_and_its_keys_are_nobodys(tmp_path):
    moco = module(queue_size=11)
    moco.contrast(images(seed=1), torch.arange(4))
    earlier = {name: value for name, value in moco.state_dict().items() if name != "queued_indices"}
    moco.load_state_dict(earlier)
    assert moco.queued_indices.tolist() == [-1] * 11
    moco.contrast(images(seed=2), torch.arange(4))
    checkpoint = {"state_dict": dict(earlier)}
    moco.on_load_checkpoint(checkpoint)
    moco.load_state_dict(checkpoint["state_dict"])
    assert moco.queued_indices.tolist() == [-1] * 11


def test_a_given_head_tells_the_width_of_a_backbone_that_takes_no_usual_image():
    moco = MoCo(torch.nn.Linear(7, 5), 0.5, torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(5, 3)), queue_size=4)
    assert (moco.queued_features.shape, moco.queued_projections.shape) == ((4, 5), (4, 3))
    assert SPACL(torch.nn.Linear(7, 5), 0.5, torch.nn.Linear(5, 3)).generator.layers[-1].out_features == 3


def test_encode_sees_the_views_as_they_are():
    class Of(MoCo):
        def encode(self, views, backbone=None):
            return super().encode([view[:, :20] for view in views], backbone)

    torch.manual_seed(0)
    moco, views = Of(FlatNet(20), 0.5, FlatHead(), queue_size=8), torch.randn(2, 4, 20)
    loss, _, _ = moco.objective([views[0], views[1].repeat(1, 2)], torch.arange(4), 0)
    torch.manual_seed(0)
    assert loss == MoCo(FlatNet(20), 0.5, FlatHead(), queue_size=8).contrast(views.flatten(0, 1))[0]


def test_gradients_reach_the_queries_encoder_only():
    moco = module(queue_size=16, **TREATED)
    moco.contrast(images())
    moco.contrast(images(seed=2))[0].backward()
    assert all(
        parameter.grad is not None for parameter in (*moco.backbone.parameters(), *moco.projection_head.parameters())
    )
    assert all(slow.grad is None for slow in (*moco.key_backbone.parameters(), *moco.key_head.parameters()))


def test_the_slow_encoder_follows_steps_and_not_accumulated_batches(tmp_path):
    pl.seed_everything(0)
    moco = MoCo(FlatNet(), 0.5, FlatHead(), queue_size=64, momentum=0.9, scheduler=None)
    expected = [parameter.clone() for parameter in moco.key_backbone.parameters()]

    class Follow(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if (batch_idx + 1) % 2 == 0:
                for slow, ahead in zip(expected, pl_module.backbone.parameters(), strict=True):
                    slow.mul_(0.9).add_(0.1 * ahead.detach())
            torch.testing.assert_close(expected, [p.detach() for p in pl_module.key_backbone.parameters()])

    settings = {"accumulate_grad_batches": 2, "limit_train_batches": 6, "max_epochs": 1}
    with torch.no_grad():
        expected = [parameter.detach().clone() for parameter in expected]
    trainer(tmp_path, callbacks=[Follow()], **settings).fit(moco, ContrastiveDataModule(batch_size=32))
    assert moco._enqueued == 6 * 64


def test_the_state_goes_on_behind_the_newest_key():
    whole, resumed = module(queue_size=11), module(queue_size=11)
    whole.contrast(images(seed=1))
    resumed.load_state_dict(whole.state_dict())
    for moco in (whole, resumed):
        moco.contrast(images(seed=2))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("settings", [{}, TREATED], ids=["plain", "treated"])
def test_it_learns_digits_for_two_epochs(settings, tmp_path):
    pl.seed_everything(0)
    losses = Losses()
    moco = MoCo(ResNet(10, width=8, stem="imagenet", in_channels=1), 0.5, queue_size=512, momentum=0.9, **settings)
    trainer(tmp_path, max_epochs=2, callbacks=[losses]).fit(moco, ContrastiveDataModule(batch_size=128))
    assert sum(losses.values[-3:]) < sum(losses.values[4:7]) - 0.3  # the queue is full after two steps


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two steps of each setting, the second against the first one's queue: in one process, and in two."""
    one = [processes.moco_step(processes.MoCoStep(settings)) for settings in processes.MOCO_SETTINGS]
    return list(zip(one, *processes.in_two(processes.moco_steps, tmp_path_factory.mktemp("moco")), strict=True))


@pytest.mark.parametrize("number", range(len(processes.MOCO_SETTINGS)))
def test_two_processes_do_what_one_does(both, number):
    one, first, second = both[number]
    assert torch.equal(first["gradient"], second["gradient"])
    assert (first["gradient"] - one["gradient"]).norm() <= 1e-10 * one["gradient"].norm()
    torch.testing.assert_close((first["loss"] + second["loss"]) / 2, one["loss"], rtol=1e-12, atol=0)
    for rank in (first, second):
        torch.testing.assert_close(rank["queue"], one["queue"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"queue_size": -1}, "queue_size must be at least 0, got -1"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"pos_high": 0.5, "pos_low": 0.2}, "pos_high < pos_low"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        module(**settings)


def test_what_it_cannot_contrast_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        module().contrast(images(1))
    raw = batch()
    with pytest.raises(ValueError, match="contrasts 2 views of an image, got 3"):
        MoCo(FlatNet(), 0.5).training_step((raw.views + raw.views[:1], raw.targets, raw.indices), 0)
    with pytest.raises(ValueError, match="needs float32 weights, got precision=bf16-true"):
        trainer(tmp_path, precision="bf16-true", max_steps=1).fit(MoCo(FlatNet(), 0.5), ContrastiveDataModule())


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_train(precision, tmp_path):
    losses = Losses()
    moco = MoCo(FlatNet(), 0.5, queue_size=256, **TREATED)
    fit = trainer(tmp_path, max_steps=8, precision=precision, callbacks=[losses])
    fit.fit(moco, ContrastiveDataModule(batch_size=128))
    assert all(value > 0 for value in losses.values)
