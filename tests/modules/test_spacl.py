"""SPACL as a LightningModule: its regimes and switches, the separation of its gradients, the trainer's options."""

import copy
import math

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from nets import FlatHead, FlatNet
from trainers import Losses, batch, trainer

from lit_hardcl import SPACL, Batch, ContrastiveDataModule, DifficultPairLoss
from lit_hardcl.models import ResNet
from lit_hardcl.schedules import WarmupCosine

ADAM = {"adversary_optimizer": lambda params: torch.optim.Adam(params, lr=1e-3)}


def spacl(**settings):
    torch.manual_seed(0)
    return SPACL(FlatNet(), temperature=0.5, projection_head=FlatHead(), **{"seed": 0, **ADAM, **settings})


def digits(**settings):
    return ContrastiveDataModule(batch_size=128, num_views=3, clean_view=True, **settings)


def views(count, images=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(count, images, 1, 32, 32, generator=generator))


SWITCHES = {
    "full": {},
    "fixed anchor": {"anchor": "fixed"},
    "every anchor": {"anchor": "every"},
    "random positives": {"choose_positives": "random"},
    "no adversary": {"adversarial_negatives": False},
    "no screening": {"screening": False},
    "linear screening": {"screening_similarity": "linear"},
    "momentum": {"key_encoder": "momentum"},
    "saturating": {"saturating": True},
    "labels": {"supervision": "labels"},
    "coarse": {"supervision": "coarse", "coarse_targets": [number % 2 for number in range(10)]},
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_learns_digits_for_two_epochs(switch, tmp_path):
    losses = Losses()
    module = SPACL(ResNet(10, width=8, stem="imagenet", in_channels=1), temperature=0.5, seed=0, **SWITCHES[switch])
    fit = trainer(tmp_path, max_epochs=2, callbacks=[losses])
    fit.fit(module, digits())
    assert len(losses.values) == fit.global_step == 22
    own = module.trainer.callback_metrics
    names = {"train_loss", "negatives_kept"}
    if switch != "no adversary":
        names |= {"train_generator_loss", "train_discriminator_loss", "discriminator_accuracy", "generated_similarity"}
        assert 0 <= own["discriminator_accuracy"] <= 1
        assert -1 <= own["generated_similarity"] <= 1
    assert names == set(own)
    assert sum(losses.values[-5:]) < sum(losses.values[:5])
    assert (own["negatives_kept"] == 1) == (switch == "no screening")


def test_all_off_with_two_views_is_simclrs_loss():
    off = {"choose_positives": "random", "positives": 1, "adversarial_negatives": False, "screening": False}
    two, targets = views(2), torch.arange(8)
    module = spacl(anchor="every", **off)
    projections = [module.projection_head(module(view)) for view in two]
    losses, _, _ = module.losses(two, targets, 0, 0)
    torch.testing.assert_close(losses["train_loss"], DifficultPairLoss(0.5)(*projections), rtol=0, atol=1e-6)
    assert set(losses) == {"train_loss"}
    one_by_one = [
        spacl(anchor="fixed", **off).losses(order, targets, 0, 0)[0]["train_loss"] for order in (two, two[::-1])
    ]
    torch.testing.assert_close(sum(one_by_one) / 2, losses["train_loss"], rtol=0, atol=1e-6)


def gradients(module, loss):
    module.zero_grad()
    loss.backward()
    return {name for name, p in module.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize("key_encoder", ["shared", "momentum"])
@pytest.mark.parametrize("saturating", [False, True])
def test_each_loss_trains_its_own_network_only(key_encoder, saturating):
    module = spacl(key_encoder=key_encoder, saturating=saturating)
    expected = {
        "train_loss": ("backbone", "projection_head"),
        "train_generator_loss": ("generator",),
        "train_discriminator_loss": ("discriminator",),
    }
    for name, networks in expected.items():
        reached = gradients(module, module.losses(views(4), torch.arange(8), 0, 0)[0][name])
        assert {parameter.split(".")[0] for parameter in reached} == set(networks), name


def test_generated_negatives_do_change_the_encoders_loss():
    module = spacl()
    before = module.losses(views(4), torch.arange(8), 0, 0)[0]["train_loss"]
    with torch.no_grad():
        module.generator.layers[-1].bias.add_(1.0)
    assert module.losses(views(4), torch.arange(8), 0, 0)[0]["train_loss"] != before


def test_random_numbers_depend_on_seed_epoch_and_batch_only():
    def number(seed=0, epoch=0, batch_idx=0, **settings):
        torch.manual_seed(0)
        module = spacl(seed=seed, **settings)
        torch.rand(seed + epoch + batch_idx)  # somebody else draws
        return module.losses(views(4), torch.arange(8), epoch, batch_idx)[0]["train_loss"].item()

    for settings in ({}, {"adversarial_negatives": False, "choose_positives": "random", "positives": 1}):
        first = number(**settings)
        assert number(**settings) == first
        assert first not in (number(seed=1, **settings), number(epoch=1, **settings), number(batch_idx=1, **settings))


def test_with_labels_the_images_of_a_label_are_no_negatives():
    four, targets = views(4), torch.arange(8) % 2
    alone = spacl(adversarial_negatives=False, screening=False, supervision="labels")
    _, seen, _ = alone.losses(four, targets, 0, 0)
    assert seen["negatives_kept"] == 1
    coarse = spacl(adversarial_negatives=False, screening=False, supervision="coarse", coarse_targets=[0, 1, 0, 1])
    labelled = alone.losses(four, targets, 0, 0)[0]["train_loss"]
    assert torch.equal(coarse.losses(four, torch.arange(8) % 4, 0, 0)[0]["train_loss"], labelled)
    one_label = alone.losses(four, torch.zeros(8, dtype=torch.long), 0, 0)[0]["train_loss"]
    assert one_label == 0, "nothing is left to contrast with"


def test_with_a_momentum_encoder_only_anchors_pass_the_trained_one(tmp_path):
    module = spacl(key_encoder="momentum", momentum=0.5)
    before = copy.deepcopy(module)
    *_, features = module.losses(views(4), torch.arange(8), 0, 0)
    assert features.shape == (8, 12)
    trainer(tmp_path, max_steps=1).fit(module, digits())
    slow, start, now = module.key_encoder[0][1].weight, before.backbone[1].weight, module.backbone[1].weight
    torch.testing.assert_close(slow, (start + now) / 2)
    assert not torch.equal(now, start)


def test_a_step_returns_detached_features_with_one_target_and_index_per_row(tmp_path):
    seen = []

    class See(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(outputs)

    trainer(tmp_path, max_steps=1, callbacks=[See()]).fit(spacl(), digits())
    outputs = seen[0]
    assert outputs["features"].shape == (4 * 128, 12)
    assert not outputs["features"].requires_grad
    assert not outputs["loss"].requires_grad
    assert len(outputs["targets"]) == len(outputs["indices"]) == 4 * 128
    assert torch.equal(outputs["indices"][:128], outputs["indices"][-128:])


# The trainer's options, as under automatic optimisation.


class Rates(pl.Callback):
    """Each optimizer's learning rate after each batch."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.values.append([part.param_groups[0]["lr"] for part in trainer.optimizers[0].parts])


def descent(params):
    """Plain gradient descent, so that a change of weights is a sum of gradients."""
    return torch.optim.SGD(params, lr=0.1)


DESCENT = {"optimizer": descent, "scheduler": None, "adversary_optimizer": descent}


def fitted(tmp_path, data=None, module_settings=None, **settings):
    rates = Rates()
    module = spacl(**{**DESCENT, **(module_settings or {})})
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fit = trainer(tmp_path, callbacks=[rates], **settings)
    fit.fit(module, data or digits())
    moved = {name: value - before[name] for name, value in module.state_dict().items()}
    return fit, moved, rates.values


def test_accumulated_gradients_are_the_mean_of_the_batches_and_one_step(tmp_path):
    fit, moved, _ = fitted(tmp_path, accumulate_grad_batches=2, limit_train_batches=2, max_epochs=1)
    assert fit.global_step == 1
    module = spacl(**DESCENT)
    seen = []

    class Keep(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(batch)

    trainer(tmp_path, max_epochs=1, limit_train_batches=2, callbacks=[Keep()]).fit(spacl(), digits())
    for number, (batch_views, targets, _) in enumerate(seen):
        (sum(module.losses(batch_views, targets, 0, number)[0].values()) / 2).backward()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(moved[name], -0.1 * parameter.grad, rtol=1e-3, atol=1e-6)


def test_what_is_left_at_the_end_of_an_epoch_is_stepped_with(tmp_path):
    fit, _, _ = fitted(tmp_path, accumulate_grad_batches=2, limit_train_batches=3, max_epochs=2)
    assert fit.global_step == 4


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_each_networks_gradient_is_clipped_by_itself(algorithm, tmp_path):
    limit = 1e-3
    _, moved, _ = fitted(tmp_path, gradient_clip_val=limit, gradient_clip_algorithm=algorithm, max_steps=1)
    for network in (("backbone", "projection_head"), ("generator",), ("discriminator",)):
        values = torch.cat([v.flatten() for name, v in moved.items() if name.split(".")[0] in network])
        size = values.norm() if algorithm == "norm" else values.abs().max()
        assert size.item() == pytest.approx(0.1 * limit, rel=1e-2), network


def test_schedulers_step_with_the_optimizers_and_end_with_the_training(tmp_path):
    settings = {
        "scheduler": lambda optimizer: WarmupCosine(optimizer, warmup_ratio=0.0),
        "adversary_scheduler": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5),
    }
    fit, _, rates = fitted(
        tmp_path, module_settings=settings, accumulate_grad_batches=2, limit_train_batches=4, max_epochs=2
    )
    encoder, generator, discriminator = zip(*rates, strict=True)
    cosine = [0.05 * (1 + math.cos(math.pi * step / 4)) for step in (0, 1, 1, 2, 2, 3, 3, 4)]
    assert encoder == pytest.approx(cosine, abs=1e-12)
    assert generator == discriminator == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025])
    assert fit.global_step == 4


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true", "bf16-true"])
def test_other_precisions_train(precision, tmp_path):
    losses = Losses()
    fit = trainer(tmp_path, max_steps=11, precision=precision, callbacks=[losses])
    fit.fit(spacl(), digits())
    assert losses.values[-1] < losses.values[0]


def test_a_changing_scale_of_half_precision_gradients_changes_no_step(tmp_path):
    """With a scale that doubles after every optimizer's step, gradients of the others were scaled with the old one."""

    def run(folder, growth_interval):
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=growth_interval)
        plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler)
        return fitted(tmp_path / folder, plugins=[plugin], max_steps=2)[1]

    constant, growing = run("constant", 10**6), run("growing", 1)
    for name, value in constant.items():
        torch.testing.assert_close(growing[name], value, rtol=0.05, atol=2e-5)


def test_a_module_can_be_fitted_again_with_the_trainers_options(tmp_path):
    module = spacl()
    for _ in range(2):
        fit = trainer(tmp_path, max_epochs=1, accumulate_grad_batches=2, limit_train_batches=4)
        fit.fit(module, digits())
        assert fit.global_step == 2


# What is refused.


def test_fewer_than_two_views_are_refused():
    with pytest.raises(ValueError, match="at least 2 views of an image, got 1: raise num_views"):
        spacl().training_step(Batch(views(1), torch.arange(8), torch.arange(8)), 0)


def test_more_positives_than_the_pool_has_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1 and at most 3, the candidates of a pool of 4 .* got 4"):
        trainer(tmp_path, max_steps=1).fit(spacl(positives=4), digits())


@pytest.mark.parametrize("supervision", ["labels", "coarse"])
def test_a_missing_label_is_refused_where_labels_are_used(supervision):
    targets = torch.tensor([0, 1, -1, 0, 1, 0, 1, 0])
    module = spacl(supervision=supervision, coarse_targets=[0, 0])
    with pytest.raises(ValueError, match=f"supervision='{supervision}' needs a label for every image, got -1"):
        module.losses(views(3), targets, 0, 0)
    spacl().losses(views(3), targets, 0, 0)


def test_coarse_labels_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ValueError, match="needs coarse_targets, the coarse class of each class, got None"):
        trainer(tmp_path, max_steps=1).fit(spacl(supervision="coarse"), digits())
    module = spacl(supervision="coarse", coarse_targets=[0, 1])
    with pytest.raises(ValueError, match="an entry for every class, got 2 entries and class 2"):
        module.losses(views(3), batch().targets, 0, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"positives": 0}, "positives must be at least 1, got 0"),
        ({"screening_share": 0.0}, r"must be in \(0, 1\], got 0.0"),
        ({"screening_share": 1.2, "screening": False}, r"must be in \(0, 1\], got 1.2"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"anchor": "any"}, "anchor must be 'dynamic', 'fixed' or 'every', got 'any'"),
        ({"choose_positives": "all"}, "choose_positives must be 'farthest' or 'random', got 'all'"),
        ({"key_encoder": "own"}, "key_encoder must be 'shared' or 'momentum', got 'own'"),
        ({"supervision": "full"}, "supervision must be 'none', 'labels' or 'coarse', got 'full'"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_setting_that_breaks_its_rule_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SPACL(**{"backbone": FlatNet(), "temperature": 0.5, **settings})


def test_a_batch_of_one_image_is_refused():
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        spacl().losses(views(3, images=1), torch.zeros(1, dtype=torch.long), 0, 0)


def test_a_momentum_encoder_of_half_precision_weights_is_refused(tmp_path):
    fit = trainer(tmp_path, max_steps=1, precision="bf16-true")
    with pytest.raises(ValueError, match="a momentum encoder needs float32 weights, got precision=bf16-true"):
        fit.fit(spacl(key_encoder="momentum"), digits())
