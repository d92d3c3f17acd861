"""Nothing a stranger hands over is run: what a checkpoint or its config.yaml names is refused before it is imported."""

import json
import shutil

import pytest
import torch
import yaml
from commands import ROOT, TINY
from lightning.pytorch import LightningModule

from lit_hardcl import SimCLR
from lit_hardcl.errors import Refusal
from lit_hardcl.trust import check_named

CODE = {  # each would leave the file `ran`
    "os.system": {"command": "touch ran"},
    "subprocess.getoutput": {"cmd": "touch ran"},
    "builtins.exec": {"source": "open('ran', 'w')"},
    "shutil.rmtree": {"path": "precious"},
    "planted.Net": {},
    "torch.os.system": {"command": "touch ran"},
    "torch.hub.load": {"repo_or_dir": ".", "model": "net", "source": "local"},
    "torch.distributed.elastic.multiprocessing.subprocess_handler.SubprocessHandler": {"entrypoint": "touch"},
}
PLANTED = (
    "from pathlib import Path\n\nfrom torch import nn\n\nPath('ran').touch()\n\n\nclass Net(nn.Identity):\n    pass\n"
)
OUTER = {  # of each slot, a class that is trusted, and an argument of it
    "optimizer": ("torch.optim.SGD", "params"),
    "scheduler": ("torch.optim.lr_scheduler.StepLR", "optimizer"),
    "backbone": ("torch.nn.Sequential", "args"),
    "projection_head": ("torch.nn.Sequential", "args"),
}
SLOTS = tuple(OUTER)
OPTIONS = {
    "temperature": 0.5,
    "backbone": {"class_path": "lit_hardcl.models.ResNet", "init_args": {"depth": 10, "width": 4, "stem": "imagenet"}},
}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A folder in which code that runs leaves a mark; checked afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "planted.py").write_text(PLANTED)
    (tmp_path / "precious").mkdir()
    yield tmp_path
    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "precious").is_dir()


def options_with(slot, path):
    return {**OPTIONS, slot: {"class_path": path, "init_args": CODE[path]}}


@pytest.mark.refusal
@pytest.mark.parametrize("path", CODE)
@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("form", ["class_path", "text", "nested"])
def test_a_checkpoint_runs_nothing(form, slot, path, stage):
    options = options_with(slot, path)
    if form == "text":
        options[slot] = path
    if form == "nested":
        outer, argument = OUTER[slot]
        options[slot] = {"class_path": outer, "init_args": {argument: [options[slot]]}}
    names = {"_class_path": "lit_hardcl.SimCLR", "_instantiator": "lightning.pytorch.cli.instantiate_module"}
    saved = {"state_dict": {}, "hyper_parameters": {**options, **names}, "pytorch-lightning_version": "2.6.0"}
    torch.save(saved, "a.ckpt")
    with pytest.raises(Refusal, match=f"{slot}.* must name .*{path}"):
        SimCLR.load_from_checkpoint("a.ckpt")


@pytest.mark.refusal
@pytest.mark.parametrize("form", ["class_path", "instantiator"])
def test_a_checkpoints_own_class_and_instantiator_are_not_run_either(form, stage):
    names = {"_class_path": "planted.Net", "_instantiator": "lightning.pytorch.cli.instantiate_module"}
    if form == "instantiator":
        names = {"_class_path": "lit_hardcl.SimCLR", "_instantiator": "os.system"}
    saved = {"state_dict": {}, "hyper_parameters": {**OPTIONS, **names}, "pytorch-lightning_version": "2.6.0"}
    torch.save(saved, "a.ckpt")
    with pytest.raises(ValueError, match=r"planted\.Net|'os\.system' from the checkpoint is not in the allowlist"):
        SimCLR.load_from_checkpoint("a.ckpt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of this library's own classes."""
    from lit_hardcl.__main__ import main

    folder = tmp_path_factory.mktemp("trained")
    net = ["--model.backbone", "lit_hardcl.models.ResNet", "--model.backbone.width", "4"]
    main(["fit", *TINY[:2], *net, *TINY[4:], "--trainer.max_epochs", "1", "--trainer.logger.save_dir", str(folder)])
    return next(folder.rglob("checkpoints"))


@pytest.mark.refusal
@pytest.mark.parametrize("path", [path for path in CODE if not path.startswith("torch")])
@pytest.mark.parametrize("slot", [*SLOTS, "callbacks", "logger", "data", "dataset"])
def test_the_config_beside_it_runs_nothing(slot, path, trained, run, stage):
    shutil.copytree(trained, stage / "checkpoints")
    config = yaml.safe_load((stage / "checkpoints/config.yaml").read_text())
    saved = torch.load(stage / "checkpoints/last.ckpt", weights_only=True)
    hostile = {"class_path": path, "init_args": CODE[path]}
    if slot in SLOTS:
        config["model"]["init_args"][slot] = saved["hyper_parameters"][slot] = hostile
    elif slot == "data":
        config["data"] = hostile
    elif slot == "dataset":
        config["data"]["init_args"]["dataset"] = path
    else:
        config["trainer"][slot] = [hostile]
    (stage / "checkpoints/config.yaml").write_text(yaml.safe_dump(config))
    torch.save(saved, stage / "checkpoints/last.ckpt")
    commands = [
        ["evaluate", "checkpoints/last.ckpt", "--probe.epochs", "1"],
        ["select", "checkpoints/last.ckpt", "--share", "0.5", "--views", "1"],
        ["theory", "collapse", "--checkpoint", "checkpoints/last.ckpt", "--positives", "1", "--output", ""],
    ]
    for command in commands[-1:] if slot in ("optimizer", "scheduler", "projection_head") else commands:
        code, _, errors = run(*command)
        if slot in ("callbacks", "logger"):
            assert code == 0, errors  # no command builds them
        else:
            assert code == 2
            assert path in errors
            assert "Traceback" not in errors


def test_who_wrote_it_may_be_trusted(run, stage, trained):
    (stage / "planted.py").write_text(PLANTED.replace("Path('ran').touch()", ""))
    config = {"class_path": "planted.Net"}
    with pytest.raises(Refusal, match="the net must name classes of a trusted package.* got planted.Net"):
        check_named(config, torch.nn.Module, "the net")
    check_named(config, torch.nn.Module, "the net", trusted=("planted",))
    with pytest.raises(Refusal, match="the net must name a class of LightningModule, got planted.Net"):
        check_named(config, LightningModule, "the net", trusted=("planted",))


@pytest.mark.refusal
@pytest.mark.parametrize("slot", ["optimizer", "scheduler"])
@pytest.mark.parametrize("path", [path for path in CODE if path != "planted.Net"])
def test_a_function_is_no_optimizer_of_ones_own_either(slot, path, run, stage):
    hostile = {"class_path": path, "init_args": CODE[path]}
    (stage / "mine.yaml").write_text(yaml.safe_dump({"model": {"init_args": {slot: hostile}}}))
    code, _, errors = run("fit", *TINY, "-c", "mine.yaml")
    assert code == 2
    assert path in errors
    comparison = {"base": [str(ROOT / "configs/quickstart.yaml"), "mine.yaml"], "methods": {"SimCLR": {}}}
    (stage / "comparison.yaml").write_text(yaml.safe_dump(comparison))
    code, _, errors = run("compare", "-c", "comparison.yaml", "--dry_run", "true")
    assert code == 2
    assert path in errors


def test_weights_are_written_as_safetensors_and_read_from_there(trained, run, stage):
    shutil.copytree(trained, stage / "checkpoints")
    numbers = []
    for ending in ("ckpt", "safetensors"):
        code, _, errors = run("evaluate", f"checkpoints/best.{ending}", "--probe.epochs", "1", "--output", "n.json")
        assert code == 0, errors
        numbers.append({n: v for n, v in json.loads((stage / "n.json").read_text()).items() if isinstance(v, float)})
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) > 3
    options = ["--share", "0.5", "--views", "1", "--output", "core.json"]
    assert run("select", "checkpoints/last.safetensors", *options)[0] == 0
    assert "holds no state_dict" in run("fit", *TINY, "--ckpt_path", "checkpoints/last.safetensors")[2]
