"""Checkpoints of earlier versions: their weights load, their options are read in today's spelling."""

import pickle

import pytest
import torch
from nets import FlatHead, FlatNet
from trainers import quiet_trainer

from lit_hardcl import SPACL, ContrastiveDataModule, MoCo, SimCLRCombined
from lit_hardcl.earlier import renewed, spelt_anew

OPTIONS = {  # as an earlier version has written them
    "backbone": {"class_path": "nets.FlatNet", "init_args": {"pixels": 1024}},
    "temperature": 0.5,
    "projection_head": {"class_path": "nets.FlatHead"},
    "channels_last": True,
    "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9}},
    "scheduler": {"class_path": "lit_hardcl.optim.WarmupCosine", "init_args": {"warmup_ratio": 0.1}},
}
OF = {
    SimCLRCombined: {
        "margin": 0.03,
        "temperature_scale": 0.6,
        "pos_high": 0.15,
        "pos_low": 0.22,
        "select_by": "features",
    },
    MoCo: {"queue_size": 8, "margin": 0.03, "temperature_scale": 0.6, "pos_high": 0.15, "pos_low": None},
    SPACL: {"positives": 2, "anchor": "dynamic", "supervision": "none"},
}


def written(kind, folder):
    own = {name: OF[kind][name] for name in OF[kind] if name != "select_by"}
    module = kind(backbone=FlatNet(), temperature=0.5, projection_head=FlatHead(), **own)
    checkpoint = {
        "state_dict": module.state_dict(),
        "pytorch-lightning_version": "2.6.0",
        "hyper_parameters": {
            "_class_path": f"lit_hardcl.{kind.__name__}",
            "_instantiator": "lightning.pytorch.cli.instantiate_module",
            **OPTIONS,
            **OF[kind],
        },
    }
    torch.save(checkpoint, folder / "old.ckpt")
    return module


@pytest.mark.parametrize("kind", OF, ids=lambda kind: kind.__name__)
def test_a_checkpoint_in_an_earlier_spelling_loads(kind, tmp_path):
    due = written(kind, tmp_path).state_dict()
    module = kind.load_from_checkpoint(tmp_path / "old.ckpt", trusted=["nets"])
    assert type(module) is kind
    for name, value in module.state_dict().items():
        assert torch.equal(value, due[name]), name
    quiet_trainer(max_steps=1).fit(module, ContrastiveDataModule(num_views=2 + (kind is SPACL), batch_size=64))


def test_weights_that_do_not_fit_load_loosely_where_that_is_asked_for(tmp_path):
    written(SimCLRCombined, tmp_path)
    checkpoint = torch.load(tmp_path / "old.ckpt", weights_only=True)
    del checkpoint["state_dict"]["projection_head.bias"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    with pytest.raises(ValueError, match="projection_head.bias missing"):
        SimCLRCombined.load_from_checkpoint(tmp_path / "old.ckpt", trusted=["nets"])
    with pytest.warns(UserWarning, match="not in the checkpoint: .'projection_head.bias'"):
        SimCLRCombined.load_from_checkpoint(tmp_path / "old.ckpt", strict=False, trusted=["nets"])
    with pytest.raises(ValueError, match="projection_head.bias missing"):
        SimCLRCombined.load_from_checkpoint(tmp_path / "old.ckpt", trusted=["nets"])


def test_the_optimizers_of_an_earlier_spacl_are_refused_by_a_sentence():
    module = SPACL(FlatNet(), 0.5, FlatHead(), scheduler=None)
    optimizer = module.configure_optimizers()["optimizer"]
    with pytest.raises(ValueError, match="3 of networks trained together, got 0 in the checkpoint"):
        optimizer.load_state_dict(optimizer.parts[0].state_dict())


def test_only_this_librarys_options_are_renewed():
    theirs = {"class_path": "theirs.Net", "init_args": {"channels_last": True}}
    assert renewed({"model": theirs}) == {"model": theirs}
    assert spelt_anew({"model": theirs}) == []


def test_options_that_are_no_plain_values_load_where_their_reader_allows_it(tmp_path):
    written(SimCLRCombined, tmp_path)
    checkpoint = torch.load(tmp_path / "old.ckpt", weights_only=True)
    torch.save({**checkpoint, "note": FlatHead()}, tmp_path / "old.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        SimCLRCombined.load_from_checkpoint(tmp_path / "old.ckpt", weights_only=True, trusted=["nets"])
    SimCLRCombined.load_from_checkpoint(tmp_path / "old.ckpt", weights_only=False)


def test_a_checkpoint_at_an_address_loads(tmp_path):
    settings = {"backbone": FlatNet(), "temperature": 0.5, "projection_head": FlatHead(), **OF[SimCLRCombined]}
    due = {name: torch.ones_like(value) for name, value in SimCLRCombined(**settings).state_dict().items()}
    torch.save({"state_dict": due, "pytorch-lightning_version": "2.6.0"}, tmp_path / "new.ckpt")
    loaded = SimCLRCombined.load_from_checkpoint(f"file://{tmp_path}/new.ckpt", trusted=["nets"], **settings)
    assert all(value.eq(1).all() for value in loaded.state_dict().values())


@pytest.mark.parametrize("kind", OF, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("loosely", [(None, None, False), {"strict": False}], ids=["by place", "by name"])
def test_loosely_a_part_loads_with_lightnings_warning_and_no_other_shape(kind, loosely, tmp_path):
    def load(state):
        torch.save({"state_dict": state, "pytorch-lightning_version": "2.6.0"}, tmp_path / "part.ckpt")
        settings = {"backbone": FlatNet(), "temperature": 0.5, "projection_head": FlatHead(), **OF[kind]}
        by_place, by_name = ((), loosely) if isinstance(loosely, dict) else (loosely, {})
        return kind.load_from_checkpoint(tmp_path / "part.ckpt", *by_place, **by_name, **settings)

    weight = torch.randn(16, 1024)
    with pytest.warns(UserWarning, match="not in the checkpoint: .*'backbone.1.bias'"):
        assert torch.equal(load({"backbone.1.weight": weight}).backbone[1].weight, weight)
    with pytest.raises(RuntimeError, match="size mismatch for backbone.1.weight"):
        load({"backbone.1.weight": weight[:3]})
