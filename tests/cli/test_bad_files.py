"""Files and folders that are not what a command expects: named before the work; and names of any letters."""

import json

import numpy as np
import pytest
import yaml
from commands import BACKBONE, CONFIGS, TINY
from PIL import Image

from lit_hardcl.runs import read_summary

pytestmark = pytest.mark.refusal

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
NO_YAML = {
    "an alias inside itself": "a: &a [*a]",
    "a merge with itself": "a: &a\n  <<: *a\n",
    "aliases of aliases": BOMB,
    "too deep": "[" * 600,
    "binary": b"\xff\xfe\x00\x80",
    "a list": "[1, 2]",
    "a word": "nonsense",
    "empty": "",
    "a tag of Python": "a: !!python/object/apply:os.getcwd []",
    "no date": "a: 2001-99-99",
}


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


def is_refused(told, *words):
    code, _, errors = told
    assert code == 2
    assert "Traceback" not in errors
    for word in words:
        assert word in errors
    return True


@pytest.mark.parametrize("case", NO_YAML)
def test_a_configuration_that_is_none_is_named(case, run, tmp_path):
    write(tmp_path / "odd.yaml", NO_YAML[case])
    for given in (["fit", *TINY, "-c", "odd.yaml"], ["compare", "-c", "odd.yaml"], ["fit", "--config=odd.yaml"]):
        assert is_refused(run(*given), "a configuration", "odd.yaml")
    sound = {"base": str(CONFIGS / "quickstart.yaml"), "methods": {"a": {"config": ["odd.yaml"]}}, "output": "out"}
    write(tmp_path / "comparison.yaml", yaml.safe_dump(sound))
    assert is_refused(run("compare", "-c", "comparison.yaml"), "a configuration", "odd.yaml")
    assert {path.name for path in tmp_path.iterdir()} == {"odd.yaml", "comparison.yaml"}


def test_aliases_that_end_are_read_as_before(run, tmp_path):
    write(
        tmp_path / "same.yaml",
        "data: &all\n  init_args: {batch_size: 64}\ntrainer: {max_epochs: &two 2, min_epochs: *two}\n",
    )
    code, printed, _ = run("fit", *TINY, "-c", "same.yaml", "--print_config")
    assert code == 0
    assert "batch_size: 64" in printed
    assert "min_epochs: 2" in printed


@pytest.fixture
def trained(run, tmp_path):
    code, *_ = run("fit", *TINY, "--trainer.limit_train_batches", "2", "--trainer.log_every_n_steps", "1")
    assert code == 0
    return next(tmp_path.rglob("last.ckpt"))


def test_a_checkpoints_neighbour_that_is_no_configuration_is_named(run, trained):
    for content in [*NO_YAML.values(), "model: 3\ndata: {}", "model: {init_args: [1]}\ndata: {}"]:
        write(trained.with_name("config.yaml"), content)
        for command in (["evaluate", trained], ["theory", "collapse", "--checkpoint", trained, "--output", ""]):
            assert is_refused(run(*command), "a run's configuration", "config.yaml")


SUMMARY = {"accuracy": {"final": {"val_knn_top1": 0.5}}, "history": {"0": {"train_loss": 1.0}}, "seconds": 1.5}
NO_SUMMARY = {
    "empty": "",
    "binary": b"\xff\xfe",
    "a list": "[]",
    "too deep": "[" * 20_000,
    "no seconds": json.dumps({**SUMMARY, "seconds": None}),
    "no table": json.dumps({**SUMMARY, "accuracy": [1]}),
    "a word for a number": json.dumps({**SUMMARY, "history": {"0": {"train_loss": "low"}}}),
    "no epoch": json.dumps({**SUMMARY, "history": {"first": {}}}),
}


@pytest.mark.parametrize("case", NO_SUMMARY)
def test_a_summary_that_is_none_is_named(case, tmp_path):
    write(tmp_path / "summary.json", NO_SUMMARY[case])
    with pytest.raises(ValueError, match="a run's summary .*summary.json"):
        read_summary(tmp_path / "summary.json")


def test_a_comparison_names_a_summary_or_a_configuration_that_is_none(run, tmp_path):
    folder = tmp_path / "out/runs/a/seed_0/version_0/checkpoints"
    plan = {"base": str(CONFIGS / "quickstart.yaml"), "methods": {"a": {}}, "output": "out", "seeds": [0]}
    write(tmp_path / "comparison.yaml", yaml.safe_dump({**plan, "dry_run": True}))
    write(folder / "summary.json", "[]")
    assert is_refused(run("compare", "-c", "comparison.yaml"), "a run's summary", "summary.json")
    write(folder / "summary.json", json.dumps(SUMMARY))
    assert "1 of them finished before" in run("compare", "-c", "comparison.yaml")[1]
    write(folder / "config.yaml", "a: &a [*a]")
    assert is_refused(run("compare", "-c", "comparison.yaml"), "a run's configuration", "config.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "metrics.csv cannot be read"),
        ("", "has no values of similarity_alpha"),
        ("epoch,similarity_alpha,similarity_beta,similarity_gamma\n0,high,0.1,0.2\n", "must hold numbers, got 'high'"),
        ("x" * 200_000, "metrics.csv cannot be read"),
    ],
)
def test_logged_numbers_that_are_none_are_named(content, words, run, tmp_path):
    write(tmp_path / "one/metrics.csv", content)
    assert is_refused(run("theory", "bounds", "--run", "one"), words, "one/metrics.csv")


PLACES = {"a folder": ("there", "but there is a folder"), "no name": ("", "must name a file, got ''"),
          "below a file": ("file/x.json", "but file is a file")}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_an_output_that_cannot_be_is_refused_before_the_work(case, run, weights, tmp_path):
    place, words = PLACES[case]
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    for name in (["select", "--share", "0.5", "--output"], ["evaluate", "--output"], ["evaluate", "--cache"]):
        command, *options = name
        assert is_refused(run(command, "net.pt", *BACKBONE, *options, place), options[-1].strip("-"), words)
    assert {path.name for path in tmp_path.iterdir()} == {"there", "file", "net.pt"}


def test_a_folder_of_outputs_that_cannot_be_is_refused_before_the_work(run, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for place, rule in (("file", "must be"), ("file/below", "must lie in")):
        compared = ["--base", CONFIGS / "quickstart.yaml", "--methods", '{"a": {}}', "--output", place]
        assert is_refused(
            run("compare", *compared),
            f"output {rule} a folder, but file is a file",
        )
        for command in ("fit", "predict"):
            logged = ["--trainer.logger=lightning.pytorch.loggers.CSVLogger", "--trainer.logger.save_dir", place]
            assert is_refused(run(command, *TINY, *logged), f"save_dir {rule} a folder, but file is a file")
    assert is_refused(
        run("compare", "--base", CONFIGS / "quickstart.yaml", "--methods", '{"a": {}}', "--output", ""), "got ''"
    )
    assert is_refused(
        run("theory", "spectrum", "--output", "folder.png"), "output must be a file, but folder.png is a folder"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.png"}


SEEDS = {
    "select": ["net.pt", *BACKBONE, "--share", "0.5", "--seed"],
    "evaluate": ["net.pt", *BACKBONE, "--seed"],
    "theory": ["collapse", "--output", "", "--seed"],
    "fit": [*TINY, "--seed_everything"],
    "compare": ["--base", str(CONFIGS / "quickstart.yaml"), "--methods", '{"a": {}}', "--seeds"],
}


@pytest.mark.parametrize("command", SEEDS)
def test_a_seed_that_some_generator_would_not_take_is_refused(command, run, weights):
    for seed in ("-1", str(2**32)):
        told = run(
            command, *SEEDS[command][:-1], f"{SEEDS[command][-1]}={f'[{seed}]' if command == 'compare' else seed}"
        )
        assert is_refused(told, "seed", seed)


def test_names_may_have_spaces_and_letters_of_any_language(run, tmp_path):
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for label in ("große Katze", "犬 🐕", "l'été"):
            for place in range(count):
                file = tmp_path / "mes données" / split / label / f"Bild № {place}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file)
    data = ["--data.dataset", "image_folder", "--data.data_dir", "mes données", "--data.batch_size", "8"]
    data += ["--data.image_size", "32", "--data.augmentation", "null"]
    logged = ["--trainer.logger=lightning.pytorch.loggers.CSVLogger", "--trainer.logger.save_dir", "läufe hier"]
    options = [*TINY, *data, *logged, "--model.backbone.pixels", "3072", "--trainer.log_every_n_steps", "1"]
    code, _, errors = run("fit", *options)
    assert code == 0, errors
    checkpoint = next((tmp_path / "läufe hier").rglob("last.ckpt"))
    trusted = [checkpoint, "--trust", "nets"]
    code, _, errors = run("evaluate", *trusted, "--output", "größe.json")
    assert code == 0, errors
    assert run("select", *trusted, "--share", "0.5", "--by", "labels", "--output", "kern é.json")[0] == 0
    assert len(json.loads((tmp_path / "kern é.json").read_text())["indices"]) == 12
    assert run("fit", *options, "--data.train_indices", "kern é.json", "--trainer.max_epochs", "1")[0] == 0
