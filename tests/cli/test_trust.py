"""Nothing a stranger hands over is run: what a checkpoint or its config.yaml names is refused before it is imported."""

import json
import shutil

import pytest
import torch
import yaml
from commands import ROOT, TINY
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch.optim import Optimizer

from lit_hardcl import SimCLR
from lit_hardcl.data import ContrastiveDataModule
from lit_hardcl.errors import Refusal
from lit_hardcl.runs import RunRecord
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


NET = {"class_path": "planted.Net"}
NAMES = {"_class_path": "lit_hardcl.SimCLR", "_instantiator": "lightning.pytorch.cli.instantiate_module"}
HIDDEN = {  # ways to name code that are no plain class_path: of a backbone, or of a whole checkpoint
    "JSON in a text": '{"class_path": "planted.Net"}',
    "YAML in a text": "class_path: planted.Net",
    "JSON with a tab": '{\t"class_path": "planted.Net"}',
    "a file's name": "net",
    "a file's path": "./net",
    "a tuple": {"class_path": "torch.nn.ModuleList", "init_args": {"modules": (NET,)}},
    "a text in an argument": {
        "class_path": "torch.nn.ModuleList",
        "init_args": {"modules": '[{"class_path": "planted.Net"}]'},
    },
    "arguments as a text": {
        "class_path": "torch.nn.ModuleList",
        "init_args": '{"modules": [{"class_path": "planted.Net"}]}',
    },
    "a name with a dot": {"class_path": "torch.nn.ModuleList", "init_args.modules": [NET]},
    "an argument's name with a dot": {
        "class_path": "torchvision.models.resnet18",
        "init_args": {"norm_layer.class_path": "planted.Net"},
    },
    "a class_path that is a list": {"class_path": ["planted.Net"]},
    "keywords that are handed on": {
        "class_path": "torchvision.models.resnet18",
        "dict_kwargs": {"norm_layer": "planted.Net"},
    },
    "a trusted package's name": {"class_path": "timm.Net"},
    "a file that timm loads": {
        "class_path": "torchvision.models.resnet18",
        "dict_kwargs": {"pretrained_cfg": {"file": "net"}},
    },
    "torch's code in a text": {
        "class_path": "torch.fx.graph_module.reduce_graph_module",
        "init_args": {"body": {"_code": "def forward(self): ..."}, "import_block": "open('ran', 'w')\n"},
    },
    "the same by way of this library": {
        "class_path": "lit_hardcl.models.backbones.torch.fx.graph_module.reduce_graph_module",
        "init_args": {"body": {"_code": "def forward(self): ..."}, "import_block": "open('ran', 'w')\n"},
    },
}
PLACES = {  # in a checkpoint, besides its hyper_parameters
    "hparams": {"hparams": {**OPTIONS, **NAMES, "backbone": NET}},
    "module_arguments": {"module_arguments": {**OPTIONS, **NAMES, "backbone": NET}, "hyper_parameters": {}},
    "a set of pairs": {"hyper_parameters": {("backbone", "planted.Net"), ("temperature", 0.5), *NAMES.items()}},
    "another Lightning": {"hyper_parameters": {**OPTIONS, **NAMES, "_instantiator": "planted.cli.instantiate_module"}},
}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A folder in which code that runs leaves a mark; checked afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("planted", "timm", "planted-x"):
        (tmp_path / f"{module}.py").write_text(PLANTED)
    (tmp_path / "net").write_text("class_path: planted.Net")
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


@pytest.mark.refusal
@pytest.mark.parametrize("checkpoint", HIDDEN.keys() | PLACES.keys())
def test_nor_does_it_run_what_is_hidden(checkpoint, stage):
    hidden = PLACES.get(checkpoint) or {"hyper_parameters": {**OPTIONS, **NAMES, "backbone": HIDDEN[checkpoint]}}
    torch.save({"state_dict": {}, "pytorch-lightning_version": "2.6.0", **hidden}, "a.ckpt")
    with pytest.raises(Refusal, match=r"planted|'init_args.modules'|'net'|'\./net'|timm\.Net|reduce_graph_module"):
        SimCLR.load_from_checkpoint("a.ckpt")


@pytest.mark.refusal
@pytest.mark.parametrize("path", ["planted..SET", ".planted.SET", "planted-x.SET", "torch.os.abort"])
def test_data_are_imported_from_where_the_user_says_only(path, stage):
    config = {"class_path": "lit_hardcl.data.ContrastiveDataModule", "init_args": {"dataset": path}}
    with pytest.raises(Refusal, match=f"data.dataset must name classes of a trusted package, none so far, got {path}"):
        check_named(config, LightningDataModule, "data")
    check_named({**config, "init_args": {"dataset": "planted.SET"}}, LightningDataModule, "data", trusted=("planted",))


@pytest.mark.refusal
def test_nor_do_a_data_modules_checkpoint_or_a_file_of_options_import_anything(stage):
    saved = {"state_dict": {}, "pytorch-lightning_version": "2.6.0", "hyper_parameters": OPTIONS}
    torch.save({**saved, "datamodule_hyper_parameters": {"dataset": "planted.SET"}}, "a.ckpt")
    with pytest.raises(Refusal, match=r"dataset must name .* got planted\.SET"):
        ContrastiveDataModule.load_from_checkpoint("a.ckpt")
    (stage / "hparams.yaml").write_text(yaml.safe_dump({**OPTIONS, **NAMES, "backbone": NET}))
    with pytest.raises(Refusal, match=r"backbone must name .* got planted\.Net"):
        SimCLR.load_from_checkpoint("a.ckpt", hparams_file="hparams.yaml")
    torch.save({**saved, "datamodule_hyper_parameters": {"dataset": "digits", "batch_size": 4}}, "a.ckpt")
    assert ContrastiveDataModule.load_from_checkpoint("a.ckpt").batch_size == 4


@pytest.mark.parametrize(
    ("path", "kind", "arguments"),
    [
        ("torch.optim.sgd.SGD", Optimizer, {"lr": 0.1}),
        (
            "torchvision.models.resnet18",
            torch.nn.Module,
            {"weights": "IMAGENET1K_V1", "norm_layer": "torch.nn.Identity"},
        ),
        ("torch.nn.TransformerEncoderLayer", torch.nn.Module, {"d_model": 8, "nhead": 2, "activation": "gelu"}),
        ("torch.nn.ModuleList", torch.nn.Module, {"modules": [{"class_path": "torch.nn.Linear"}]}),
        ("lit_hardcl.SimCLR", LightningModule, OPTIONS),
        ("lit_hardcl.data.ContrastiveDataModule", LightningDataModule, {"dataset": "digits", "data_dir": "net"}),
    ],
)
def test_what_the_packages_are_for_is_not_refused(path, kind, arguments, stage):
    check_named({"class_path": path, "init_args": arguments}, kind, "it")


def test_a_checkpoints_record_says_nothing_else_about_the_training():
    record = RunRecord.__new__(RunRecord)
    record.on_load_checkpoint(
        Trainer(logger=False), LightningModule(), {"run_record": {"seconds": 2.0, "_model_config": NET}}
    )
    assert vars(record) == {"seconds": 2.0}


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


@pytest.mark.refusal
@pytest.mark.parametrize("part", ["backbone", "dataset"])
def test_the_commands_read_no_class_from_a_file_or_between_two_dots(part, trained, run, stage):
    shutil.copytree(trained, stage / "checkpoints")
    config = yaml.safe_load((stage / "checkpoints/config.yaml").read_text())
    saved = torch.load(stage / "checkpoints/last.ckpt", weights_only=True)
    if part == "backbone":
        config["model"]["init_args"][part] = saved["hyper_parameters"][part] = "net"
    else:
        config["data"]["init_args"][part] = "planted..SET"
    (stage / "checkpoints/config.yaml").write_text(yaml.safe_dump(config))
    torch.save(saved, stage / "checkpoints/last.ckpt")
    code, _, errors = run("evaluate", "checkpoints/last.ckpt", "--probe.epochs", "1")
    assert code == 2
    assert f"{part}" in errors
    assert "got 'net'" in errors or "got planted..SET" in errors


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
