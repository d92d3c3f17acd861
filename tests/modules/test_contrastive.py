"""Contrastive: any criterion in one step, and an encoder that a module of text overrides."""

import copy
import multiprocessing.context
import pickle

import pytest
import reference
import torch
from nets import FlatHead, FlatNet
from torch import nn
from torch.utils.data import DataLoader
from trainers import Losses, batch, trainer

from lit_hardcl import SPACL, Batch, Contrastive, ContrastiveDataModule, DifficultPairLoss, MoCo, SimCLR, modules
from lit_hardcl.callbacks import OnlineKNN, OnlineLinearProbe
from lit_hardcl.losses import DCLLoss, SupConLoss
from lit_hardcl.models import ResNet
from lit_hardcl.modules import MomentumContrast

TREATED = {"pos_high": 0.15, "pos_low": 0.6, "margin": 0.5}


class Words(nn.EmbeddingBag):
    """A bag of words; numbers that are not whole are no words to it."""

    num_features = 12

    def __init__(self) -> None:
        super().__init__(50, 12)


class Text(Contrastive):
    """Sentences of different lengths in each view, filled up with word 0."""

    def encode(self, views, backbone=None):
        longest = max(view.shape[1] for view in views)
        ids = torch.cat([nn.functional.pad(view, (0, longest - view.shape[1])) for view in views])
        assert ids.dtype == torch.int64
        return (self.backbone if backbone is None else backbone)(ids)


def sentences(count=64, length=9):
    """Sentences of one topic each, half of whose words each view draws."""
    draw = torch.Generator().manual_seed(0)
    words = torch.randint(1, 50, (count, length), generator=draw)
    return [
        ([each[torch.randperm(length, generator=draw)[:size]] for size in (5, 4)], number % 4, number)
        for number, each in enumerate(words)
    ]


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`", "ignore:.*does not have many workers")
@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
def test_a_module_of_text_overrides_encode_alone(precision, tmp_path):
    torch.manual_seed(0)
    losses = Losses()
    module = Text(Words(), DifficultPairLoss(0.5, **TREATED), FlatHead())
    fit = trainer(tmp_path, max_epochs=12, precision=precision, callbacks=[losses])
    loader = DataLoader(sentences(), batch_size=32)
    fit.fit(module, loader)
    assert losses.values[-1] < losses.values[0] - 0.2
    views, *_ = next(iter(loader))
    assert torch.equal(module(views[0]), module.backbone(views[0]))


def test_whole_numbers_stay_whole_and_images_take_the_modules_dtype():
    class Seen(FlatNet):
        def forward(self, images):
            self.dtype = images.dtype
            return super().forward(images.double())

    module = Contrastive(Seen(), DifficultPairLoss(0.5), FlatHead()).double()
    for given, due in ((torch.float32, torch.float64), (torch.int64, torch.int64)):
        features = module.encode([view.to(given) for view in batch().views])
        assert module.backbone.dtype == due
        assert features.shape == (16, 12)


CRITERIA = {
    "plain": lambda: DifficultPairLoss(0.5),
    "treated": lambda: DifficultPairLoss(0.5, **TREATED),
    "DCL": lambda: DCLLoss(0.5),
    "SupCon": lambda: SupConLoss(0.5),
}


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.parametrize("name", CRITERIA)
def test_the_step_is_the_criterion_of_projections_features_and_targets(name):
    raw, criterion = batch(), CRITERIA[name]()
    module = Contrastive(FlatNet(), criterion, FlatHead())
    outputs = module.training_step(raw, 0)
    features = [module(view) for view in raw.views]
    due = criterion(*map(module.projection_head, features), *features, raw.targets)
    torch.testing.assert_close(outputs["loss"], due)
    torch.testing.assert_close(outputs["features"], torch.cat(features).detach())
    outputs["loss"].backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.usefixtures("unchecked_shapes")
def test_any_module_with_that_forward_is_a_criterion():
    class Apart(nn.Module):
        def forward(self, z0, z1, h0, h1, targets):
            assert [h0.requires_grad, h1.requires_grad] == [False, False]
            assert targets.tolist() == batch().targets.tolist()
            return (z0 - z1).square().sum()

    module = Contrastive(FlatNet(), Apart(), FlatHead())
    loss = module.training_step(batch(), 0)["loss"]
    first, second = (module.projection_head(module(view)) for view in batch().views)
    torch.testing.assert_close(loss, (first - second).square().sum())


@pytest.mark.parametrize("views", [1, 3])
def test_another_number_of_views_than_two_is_refused(views):
    raw = batch()
    module = Contrastive(FlatNet(), DifficultPairLoss(0.5), FlatHead())
    with pytest.raises(ValueError, match=f"Contrastive contrasts 2 views of an image, got {views}: set num_views=2"):
        module.training_step(Batch((raw.views * 2)[:views], raw.targets, raw.indices), 0)


def test_a_given_head_spares_the_question_of_the_features_width():
    class Wide(nn.Module):
        def forward(self, images):
            return images.mean(dim=(2, 3)).repeat(1, 12)

    module = Contrastive(Wide(), DifficultPairLoss(0.5), FlatHead())
    assert module(batch().views[0]).shape == (8, 12)


def test_a_queue_takes_any_criterion_of_rectangles(tmp_path):
    losses = Losses()
    module = MomentumContrast(FlatNet(), DCLLoss(0.5), FlatHead(), queue_size=256, momentum=0.9)
    trainer(tmp_path, max_steps=33, callbacks=[losses]).fit(module, ContrastiveDataModule(batch_size=128))
    assert sum(losses.values[-3:]) < sum(losses.values[4:7]) - 0.3  # the queue is full after two steps


def test_a_criterion_of_labels_has_no_queue():
    with pytest.raises(ValueError, match="a queue holds no targets, which SupConLoss needs: take Contrastive"):
        MomentumContrast(FlatNet(), SupConLoss(0.5), FlatHead())


def test_every_method_has_the_one_step():
    assert {getattr(modules, name).training_step for name in modules.__all__} == {modules.method.Method.training_step}


@pytest.mark.parametrize("clip", [-1.0, float("nan")])
def test_clipping_to_less_than_nothing_is_refused_since_the_steps_would_go_uphill(clip, tmp_path):
    module = Contrastive(FlatNet(), DCLLoss(0.5))
    with pytest.raises(ValueError, match=f"gradient_clip_val must be at least 0, got {clip}"):
        trainer(tmp_path, gradient_clip_val=clip, max_epochs=1).fit(module, ContrastiveDataModule())


METHODS = {
    "SimCLR": lambda: SimCLR(FlatNet(), 0.5),
    "MoCo": lambda: MoCo(FlatNet(), 0.5, queue_size=64),
    "SPACL": lambda: SPACL(FlatNet(), 0.5),
    "Contrastive": lambda: Contrastive(FlatNet(), DCLLoss(0.5)),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_can_be_copied_and_sent_to_another_process(name):
    module = METHODS[name]()
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is type(module)
        assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), module.parameters(), strict=True))
        assert twin.optimizer(twin.parameters()).defaults == module.optimizer(module.parameters()).defaults


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MoCo", "SPACL"])
def test_a_method_trains_in_spawned_processes_and_from_spawned_workers(name, tmp_path, monkeypatch):
    module, views = METHODS[name](), 2 + (name == "SPACL")
    before = copy.deepcopy(module.state_dict())
    watching = {"callbacks": [OnlineLinearProbe(), OnlineKNN()], "devices": 2, "strategy": "ddp_spawn"}
    settings = {"max_epochs": 1, "limit_train_batches": 2, **watching}
    trainer(tmp_path, **settings).fit(module, ContrastiveDataModule(batch_size=128, num_views=views))
    assert not torch.equal(module.state_dict()["backbone.1.weight"], before["backbone.1.weight"])
    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", spawn)
    fit = trainer(tmp_path, max_steps=2, limit_val_batches=1)
    fit.fit(module, ContrastiveDataModule(batch_size=64, num_workers=2, num_views=views))
    assert fit.global_step == 2


def hardest_of(**settings):
    torch.manual_seed(0)
    return Contrastive(FlatNet(20), DifficultPairLoss(0.5), FlatHead(), views="hardest", **settings).double()


def views_of(count, images=6):
    generator = torch.Generator().manual_seed(3)
    return list(torch.randn(count, images, 1, 4, 5, dtype=torch.float64, generator=generator))


def test_the_hardest_pair_of_each_image_is_trained_on():
    module, views = hardest_of(), views_of(4)
    loss, features, _ = module.objective(views, torch.arange(6), 0)
    z = [module.projection_head(module(view)) for view in views]
    firsts, seconds = [], []
    for image in range(6):
        pairs = [(reference.cosine(z[i][image], z[j][image]).item(), i, j) for i in range(4) for j in range(i + 1, 4)]
        _, i, j = min(pairs)
        firsts.append(views[i][image])
        seconds.append(views[j][image])
    both = [module(torch.stack(side)) for side in (firsts, seconds)]
    due = reference.simclr(torch.cat([module.projection_head(rows) for rows in both]), 0.5)
    torch.testing.assert_close(loss, due, rtol=1e-10, atol=0)
    torch.testing.assert_close(features, torch.cat(both))


def test_with_two_views_it_is_simclr_in_one_pass(monkeypatch):
    views, found = views_of(2), []
    for settings in ({"views": "hardest"}, {"views": "both"}):
        torch.manual_seed(0)
        module = Contrastive(FlatNet(20), DifficultPairLoss(0.5), FlatHead(), **settings).double()
        monkeypatch.setattr(module, "hardest", None)
        loss = module.objective(views, torch.arange(6), 0).loss
        found.append((loss.detach(), torch.autograd.grad(loss, next(module.backbone.parameters()))[0]))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_equal_pairs_give_the_first_and_the_search_leaves_no_trace():
    torch.manual_seed(0)
    module = Contrastive(ResNet(10, width=4, in_channels=1), DifficultPairLoss(0.5), views="hardest")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    view = torch.randn(4, 1, 32, 32)
    chosen = module.hardest([view, view, view])
    assert all(torch.equal(side, view) for side in chosen)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    other = torch.randn(4, 1, 32, 32)
    first, second = module.hardest([view, view, other])
    assert torch.equal(first, view)
    assert torch.equal(second, other)


def test_other_numbers_of_views_are_refused(unchecked_shapes):
    with pytest.raises(ValueError, match="contrasts 2 views of an image, got 3: set num_views=2"):
        Contrastive(FlatNet(20), DifficultPairLoss(0.5), FlatHead()).training_step(
            ([torch.randn(6, 1, 4, 5)] * 3, torch.arange(6), torch.arange(6)), 0
        )
    with pytest.raises(ValueError, match="contrasts 2 views of an image, got 1"):
        hardest_of().training_step((views_of(1), torch.arange(6), torch.arange(6)), 0)
    with pytest.raises(ValueError, match="views must be 'both' or 'hardest', got 'all'"):
        Contrastive(FlatNet(20), DifficultPairLoss(0.5), FlatHead(), views="all")
