"""The modules: presets are cases of one step, and every one of them learns."""

import math

import lightning.pytorch as pl
import pytest
import torch
from nets import FlatHead, FlatNet
from trainers import Losses, batch, trainer

from lit_hardcl import (
    Batch,
    ContrastiveDataModule,
    DifficultPairLoss,
    SimCLR,
    SimCLRCombined,
    SimCLRMargin,
    SimCLRRemoval,
    SimCLRTemperature,
)
from lit_hardcl.models import ResNet
from lit_hardcl.modules.presets import DifficultPairSimCLR

BAND = {"pos_high": 0.15, "pos_low": 0.6}
PRESETS = {
    "simclr": (SimCLR, {}, (0.0, 1.0)),
    "removal": (SimCLRRemoval, BAND, (0.0, math.inf)),
    "margin": (SimCLRMargin, {"margin": 0.1, **BAND}, (0.1, 1.0)),
    "temperature": (SimCLRTemperature, {"temperature_scale": 0.6, **BAND}, (0.0, 0.6)),
    "combined": (SimCLRCombined, {"margin": 0.1, "temperature_scale": 0.6, **BAND}, (0.1, 0.6)),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_the_one_step_with_its_margin_and_scale(preset):
    kind, arguments, treatment = PRESETS[preset]
    module = kind(backbone=FlatNet(), projection_head=FlatHead(), temperature=0.5, **arguments)
    views = batch().views
    features = [module(view) for view in views]
    band = (None, None) if preset == "simclr" else BAND.values()
    expected = DifficultPairLoss(0.5, *band, *treatment)(*map(module.projection_head, features), *features)
    torch.testing.assert_close(module.criterion(*map(module.projection_head, features), *features), expected)
    assert type(module).training_step is DifficultPairSimCLR.training_step


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_learns_digits_for_two_epochs(preset, tmp_path):
    kind, arguments, _ = PRESETS[preset]
    pl.seed_everything(0)
    losses = Losses()
    backbone = ResNet(10, width=8, stem="imagenet", in_channels=1)
    module = kind(backbone=backbone, temperature=0.5, **arguments)
    trainer(tmp_path, max_epochs=2, callbacks=[losses]).fit(module, ContrastiveDataModule(batch_size=128))
    assert len(losses.values) == 22
    assert sum(losses.values[-5:]) < sum(losses.values[:5]) - 0.5


def test_a_step_returns_detached_features_with_one_target_and_index_per_row(tmp_path):
    seen = []

    class See(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(outputs)

    module = SimCLR(backbone=FlatNet(), temperature=0.5)
    trainer(tmp_path, max_steps=1, callbacks=[See()]).fit(module, ContrastiveDataModule(batch_size=8))
    outputs = seen[0]
    assert outputs["features"].shape == (16, 12)
    assert not outputs["features"].requires_grad
    assert torch.equal(outputs["targets"][:8], outputs["targets"][8:])
    assert torch.equal(outputs["indices"][:8], outputs["indices"][8:])


def test_forward_and_predict_give_backbone_features(tmp_path):
    module = SimCLR(backbone=FlatNet(), temperature=0.5)
    predicted = trainer(tmp_path).predict(module, ContrastiveDataModule(batch_size=64))
    assert torch.cat(predicted).shape == (360, 12)
    images = batch().views[0]
    assert torch.equal(module(images), module.backbone(images))


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
def test_pairs_are_chosen_by_features_unless_projections_are_asked_for():
    views = batch()
    torch.manual_seed(0)
    losses = {}
    module = SimCLRMargin(backbone=FlatNet(), projection_head=FlatHead(), temperature=0.5, margin=0.5, **BAND)
    for by in ("features", "projections"):
        module.select_by = by
        rows = [module(view) for view in views.views]
        chosen = rows if by == "features" else [module.projection_head(row) for row in rows]
        losses[by] = module.training_step(views, 0)["loss"].item()
        expected = module.criterion(*[module.projection_head(row) for row in rows], *chosen).item()
        assert losses[by] == pytest.approx(expected, rel=1e-6)
    assert losses["features"] != losses["projections"]


def test_any_backbone_gets_a_head_of_its_width():
    backbone = torch.nn.Sequential(torch.nn.Conv2d(1, 6, 3), torch.nn.AdaptiveAvgPool2d(1))
    module = SimCLR(backbone=backbone, temperature=0.5)
    assert module.projection_head[0].in_features == 6
    assert module(torch.randn(2, 1, 32, 32)).shape == (2, 6)


def test_the_default_schedule_ends_with_the_training(tmp_path):
    module = SimCLR(backbone=FlatNet(), temperature=0.5)
    fit = trainer(tmp_path, max_steps=6)
    fit.fit(module, ContrastiveDataModule(batch_size=128))
    assert module.lr_schedulers().total_steps == 6
    assert module.lr_schedulers().get_last_lr() == [0.0]


@pytest.mark.parametrize("views", [1, 3])
def test_another_number_of_views_than_two_is_refused(views):
    module = SimCLR(backbone=FlatNet(), temperature=0.5)
    raw = batch()
    with pytest.raises(ValueError, match=f"contrasts 2 views of an image, got {views}: set num_views=2"):
        module.training_step(Batch((raw.views * 2)[:views], raw.targets, raw.indices), 0)


@pytest.mark.usefixtures("unchecked_shapes")
def test_an_unknown_way_to_select_is_refused():
    with pytest.raises(ValueError, match="select_by must be 'features' or 'projections', got 'pixels'"):
        SimCLR(backbone=FlatNet(), temperature=0.5, select_by="pixels")


class Poisoned(SimCLR):
    """Its backbone breaks at one step."""

    def training_step(self, batch, batch_idx):
        if self.global_step == 3:
            with torch.no_grad():
                self.backbone[1].weight[0, 0] = math.nan
        return super().training_step(batch, batch_idx)


def test_a_nan_stops_the_training_names_the_step_and_keeps_the_last_good_checkpoint(tmp_path):
    module = Poisoned(backbone=FlatNet(), temperature=0.5)
    checkpoint = pl.callbacks.ModelCheckpoint(tmp_path, every_n_train_steps=2, save_last=True)
    fit = pl.Trainer(accelerator="cpu", max_steps=9, logger=False, callbacks=[checkpoint], enable_progress_bar=False)
    with pytest.raises(ValueError, match="stopped being finite at step 3"):
        fit.fit(module, ContrastiveDataModule(batch_size=128))
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_a_checkpoint_is_not_written_once_a_nan_was_seen():
    module = SimCLR(backbone=FlatNet(), temperature=0.5)
    module._failed_at = torch.tensor(7.0)  # as a GPU, which is asked rarely, would have noted it
    with pytest.raises(ValueError, match="at step 7"):
        module.on_save_checkpoint({})


def test_a_checkpoint_of_another_model_is_refused_by_name():
    module = SimCLR(backbone=FlatNet(), temperature=0.5)
    other = SimCLR(backbone=FlatNet(pixels=784), temperature=0.5).state_dict()
    del other["projection_head.0.weight"]
    other["extra"] = torch.zeros(1)
    message = (
        r"does not fit this SimCLR: projection_head.0.weight missing, extra unexpected, "
        r"backbone.1.weight \(\(16, 784\) there, \(16, 1024\) here\) of another shape"
    )
    with pytest.raises(ValueError, match=message):
        module.on_load_checkpoint({"state_dict": other})


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true", "bf16-true"])
def test_other_precisions_train(precision, tmp_path):
    losses = Losses()
    module = SimCLRCombined(backbone=FlatNet(), temperature=0.5, margin=0.1, temperature_scale=0.6, **BAND)
    fit = trainer(tmp_path, max_steps=8, precision=precision, callbacks=[losses])
    fit.fit(module, ContrastiveDataModule(batch_size=128))
    assert losses.values[-1] < losses.values[0]


class Stateful(FlatNet):
    """A backbone with an infinite buffer, such as an attention mask, and a state that is no tensor."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.full((2,), -torch.inf))

    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        self.calls = state["calls"]


def test_a_backbone_may_have_infinite_buffers_and_an_extra_state():
    module = SimCLR(Stateful(), 0.5)
    module.on_save_checkpoint(checkpoint := {"state_dict": module.state_dict()})
    module.on_load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("of", "value"),
    [("mask", torch.nan), ("mask", torch.inf), ("weight", torch.nan), ("weight", torch.inf), ("weight", -torch.inf)],
)
def test_spoilt_weights_and_buffers_are_not_saved(of, value):
    module = SimCLR(Stateful(), 0.5)
    state = {name: part.clone() if torch.is_tensor(part) else part for name, part in module.state_dict().items()}
    name = "backbone.mask" if of == "mask" else next(name for name, _ in module.named_parameters())
    state[name].flatten()[0] = value
    with pytest.raises(ValueError, match="weights stopped being finite"):
        module.on_save_checkpoint({"state_dict": state})
