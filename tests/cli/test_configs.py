"""Every shipped configuration builds with every overlay, and says what its source says."""

import pytest
import yaml
from commands import CONFIGS, TINY

from lit_hardcl import DifficultyFilter, modules
from lit_hardcl.cli.configuration import with_shipped_files
from lit_hardcl.cli.training import command_line
from lit_hardcl.data import DATASETS

ROWS = [path for folder in ("", "published/") for path in CONFIGS.glob(f"{folder}*.yaml")]
DATA = sorted(str(path.relative_to(CONFIGS).with_suffix("")) for path in ROWS)
METHODS = sorted(path.stem for path in (CONFIGS / "methods").glob("*.yaml"))
OF_ANY_LOSS = [  # overlays of the one step with another criterion
    name for name in METHODS if "modules.Contrastive" in (CONFIGS / f"methods/{name}.yaml").read_text()
]
QUEUED = ("moco", "moco_combined", "mochi", "synco")
SPACL: dict[str, dict[str, object]] = {  # the one switch that an ablation turns
    "spacl": {},
    "spacl_fixed_anchor": {"anchor": "fixed"},
    "spacl_random_positives": {"choose_positives": "random"},
    "spacl_no_adversary": {"adversary": False},
    "spacl_no_screening": {"screening_share": 1.0},
}


@pytest.mark.parametrize("method", sorted({*modules.__all__} - {"Contrastive", "MomentumContrast"}))
def test_a_method_named_on_the_command_line_is_itself(method, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cli = build(monkeypatch, "quickstart", options=["--model", method])
    assert type(cli.model).__name__ == method
    treatment = {
        "SimCLR": (0.0, 1.0),
        "SimCLRRemoval": (0.0, float("inf")),
        "SimCLRMargin": (0.03, 1.0),
        "SimCLRTemperature": (0.0, 0.6),
        "SimCLRCombined": (0.03, 0.6),
        "MoCo": (0.03, 0.6),  # the file's, as one class treats pairs or does not
        "SPACL": (None, None),  # its pairs are chosen, not treated
    }[method]
    assert tuple(getattr(cli.model.criterion, name, None) for name in ("margin", "temperature_scale")) == treatment


def build(monkeypatch, *names, options=()):
    files = [argument for name in names for argument in ("-c", str(CONFIGS / f"{name}.yaml"))]
    return command_line([*files, "--trainer.accelerator", "cpu", *options], run=False)


@pytest.mark.parametrize("method", sorted({*METHODS} - {*SPACL} - {*OF_ANY_LOSS}))
@pytest.mark.parametrize("data", DATA)
def test_every_data_set_builds_with_every_method(data, method, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cli = build(monkeypatch, data, f"methods/{method}")
    values = yaml.safe_load((CONFIGS / f"{data}.yaml").read_text())["model"]["init_args"]
    criterion = cli.model.criterion
    expected = {
        **{name: {"margin": 0.0, "temperature_scale": 1.0} for name in ("simclr", "hvp")},
        "removal": {"margin": 0.0, "temperature_scale": float("inf")},
        "margin": {"margin": values["margin"], "temperature_scale": 1.0},
        "temperature": {"margin": 0.0, "temperature_scale": values["temperature_scale"]},
        **{name: {"margin": 0.0, "temperature_scale": 1.0} for name in QUEUED},
        "moco_combined": {"margin": values["margin"], "temperature_scale": values["temperature_scale"]},
    }.get(method, {"margin": values["margin"], "temperature_scale": values["temperature_scale"]})
    none = method in ("simclr", "all_pairs", "hvp")
    expected |= {name: None if none else values[name] for name in ("pos_high", "pos_low")}
    expected["temperature"] = values["temperature"]
    assert {name: getattr(criterion, name) for name in expected} == expected
    if method in QUEUED:
        assert len(cli.model.queued_features) == 1024
        assert type(cli.model.synthetic).__name__.lower() == (method if method in ("mochi", "synco") else "nonetype")
    else:
        assert cli.model.select_by == ("projections" if method == "by_projections" else "features")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(  # a data set and a loss know nothing of each other
    ("data", "method"),
    [(data, method) for method in OF_ANY_LOSS for data in DATA if "quickstart" in data or method == "dcl"],
)
def test_every_data_set_builds_with_every_loss(data, method, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cli = build(monkeypatch, data, f"methods/{method}")
    given = yaml.safe_load((CONFIGS / f"methods/{method}.yaml").read_text())["model"]["init_args"]["criterion"]
    name = given["class_path"].rsplit(".", 1)[-1]
    assert type(cli.model.criterion).__name__ == name
    assert {key: getattr(cli.model.criterion, key) for key in given["init_args"]} == given["init_args"]
    assert cli.title.startswith(f"{name.removesuffix('Loss')} on ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", SPACL)
@pytest.mark.parametrize("data", DATA)
def test_every_data_set_builds_with_spacl_and_its_ablations(data, method, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cli = build(monkeypatch, data, "methods/spacl", f"methods/{method}")
    values = yaml.safe_load((CONFIGS / f"{data}.yaml").read_text())["model"]["init_args"]
    own = {name: getattr(cli.model, name) for name in ("anchor", "choose_positives", "positives")}
    own |= {name: getattr(cli.model.criterion, name) for name in ("screening_share", "temperature")}
    own["adversary"] = cli.model.generator is not None
    paper = {"positives": 2, "screening_share": 0.95}  # its Sec. 3
    full = {
        "anchor": "dynamic",
        "choose_positives": "farthest",
        "adversary": True,
        "temperature": values["temperature"],
    }
    assert own == {**paper, **full, **SPACL[method]}
    assert cli.datamodule.clean_view
    assert cli.datamodule.num_views >= 3, "of fewer views all are positives, farthest or random"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", DATA)
def test_every_data_set_builds_with_the_filter_beside_the_usual_callbacks(data, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    usual = [type(callback).__name__ for callback in build(monkeypatch, data).trainer.callbacks]
    callbacks = build(monkeypatch, data, "callbacks/filter").trainer.callbacks
    (difficulty,) = (callback for callback in callbacks if isinstance(callback, DifficultyFilter))
    assert sorted(type(callback).__name__ for callback in callbacks) == sorted([*usual, "DifficultyFilter"])
    assert (difficulty.scoring.score, difficulty.share_at) == ("pairs", {20: 0.1})
    assert 2 <= len((CONFIGS / "callbacks/filter.yaml").read_text().splitlines()) <= 6


@pytest.mark.parametrize("data", [*DATA, *(f"sets/{name}" for name in DATASETS)])
def test_the_recipe_of_a_data_set_stands_in_its_file_alone(data):
    assert "augmentation" not in yaml.safe_load((CONFIGS / f"{data}.yaml").read_text())["data"]["init_args"]


def test_every_data_set_has_a_yaml_of_data_alone():
    sets = {path.stem: yaml.safe_load(path.read_text()) for path in (CONFIGS / "sets").glob("*.yaml")}
    assert sets.keys() == DATASETS.keys()
    for name, config in sets.items():
        assert config.keys() == {"data"}
        assert config["data"]["init_args"]["dataset"] == name


def test_every_method_has_an_overlay_of_two_to_six_lines():
    named = set()
    for method in METHODS:
        text = (CONFIGS / f"methods/{method}.yaml").read_text()
        assert 2 <= len(text.splitlines()) <= 6
        named.add(str(yaml.safe_load(text)["model"].get("class_path")).rsplit(".", 1)[-1])
    assert set(modules.__all__) - {"MomentumContrast"} <= named  # which is MoCo with any criterion


@pytest.mark.parametrize(("options", "seed"), [([], 3), (["--data.seed", "7"], 7)])
def test_one_seed_seeds_everything_unless_the_data_have_their_own(options, seed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert build(monkeypatch, "quickstart", options=["--seed_everything", "3", *options]).datamodule.seed == seed


PAPER = {  # arXiv:2501.01317, App. A.3: batch, learning rate, temperature, pos_high, pos_low, margin, temperature scale
    "cifar10": (512, 0.25, 0.5, 0.15, 0.22, 0.03, 0.6),
    "cifar100": (512, 0.5, 0.1, 0.013, 0.5, 0.1, 0.7),
    "stl10": (256, 0.5, 0.1, 0.15, 0.22, 0.1, 0.7),
    "tiny_imagenet": (512, 0.5, 0.5, 0.013, 0.5, 0.1, 0.7),
    "image_folder": (1024, 0.1, 0.07, 0.01, 0.5, 0.1, 0.7),
}


@pytest.mark.parametrize("data", PAPER)
def test_the_values_are_the_papers(data):
    settings = yaml.safe_load((CONFIGS / f"published/{data}.yaml").read_text())
    model = settings["model"]["init_args"]
    values = [settings["data"]["init_args"]["batch_size"], model["optimizer"]["init_args"]["lr"]]
    values += [model[name] for name in ("temperature", "pos_high", "pos_low", "margin", "temperature_scale")]
    assert tuple(values) == PAPER[data]


COMPARISONS = {
    "landscape": 87,
    "methods": 5 * 3,
    "selected_vs_all": 5 * 3,
    "selection_features": 3 * 3,
    "mixed": 3 * 4 * 3,
    "long_tail": 2 * 3 * 3,
    "temperature_factor": 7 * 3,
    "quick": 5 * 2,
}


@pytest.mark.parametrize(
    ("comparison", "base"), [*((name, None) for name in COMPARISONS), ("methods", "fashion_mnist")]
)
def test_every_comparison_can_be_run_on_its_own_data_set_and_on_another(comparison, base, run, tmp_path):
    other = [] if base is None else ["--base", CONFIGS / f"{base}.yaml"]
    code, output, _ = run("compare", "-c", CONFIGS / f"compare/{comparison}.yaml", *other, "--dry_run", "true")
    assert code == 0
    assert f"{COMPARISONS[comparison]} runs, 0 of them finished before" in output
    assert len(output.splitlines()) == 1 + COMPARISONS[comparison]
    assert list(tmp_path.iterdir()) == []


def test_no_comparison_is_untested():
    assert COMPARISONS.keys() == {path.stem for path in (CONFIGS / "compare").glob("*.yaml")}


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("quickstart.yaml", "quickstart.yaml"),
        ("methods/removal.yaml", "methods/removal.yaml"),
        ("configs/methods/removal.yaml", "methods/removal.yaml"),
        ("removal.yaml", "methods/removal.yaml"),
        ("cifar10.yaml", "sets/cifar10.yaml"),  # data alone, before the paper's row
    ],
)
def test_a_configuration_of_the_package_is_found_from_any_folder(named, file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert with_shipped_files(["fit", "-c", named, f"--config={named}"]) == [
        *("fit", "-c", str(CONFIGS / file)),
        f"--config={CONFIGS / file}",
    ]
    (tmp_path / "quickstart.yaml").write_text("trainer: {max_epochs: 1}")
    assert with_shipped_files(["fit", "-c", "quickstart.yaml"]) == ["fit", "-c", "quickstart.yaml"], "one's own first"


def test_a_file_in_an_earlier_spelling_is_refused_with_todays(run, tmp_path):
    text = (CONFIGS / "quickstart.yaml").read_text().replace("lit_hardcl.schedules.", "lit_hardcl.optim.")
    (tmp_path / "old.yaml").write_text(
        text.replace("    temperature: 0.5\n", "    temperature: 0.5\n    channels_last: true\n")
    )
    code, _, errors = run("fit", "-c", "old.yaml")
    assert code == 2
    assert "old.yaml is spelt as in an earlier version: channels_last is now the callback" in errors
    assert "lit_hardcl.optim.WarmupCosine is now lit_hardcl.schedules.WarmupCosine" in errors
    code, _, errors = run("fit", *TINY, "--model.channels_last", "true")
    assert code == 2
    assert "channels_last is now the callback lit_hardcl.callbacks.ChannelsLast" in errors


def test_the_earlier_path_of_a_row_is_refused_with_both_of_todays(run, tmp_path):
    code, _, errors = run("fit", "-c", "configs/cifar10.yaml")
    assert code == 2
    assert "configs/cifar10.yaml is now published/cifar10.yaml, the paper's row, or sets/cifar10.yaml" in errors
