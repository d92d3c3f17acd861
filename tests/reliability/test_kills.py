"""Whatever is killed, whenever: gone on with, it leaves what an unbroken one leaves, to the last bit."""

import contextlib
import random
import signal
import subprocess
import time

import pytest
import torch
import yaml
from commands import CONFIGS, assert_same
from reliability.trials import TINY, await_step, begin, done, last_of, left, strike

pytestmark = pytest.mark.slow
METHODS = {  # overlays of each
    name: [name]
    for name in ("simclr", "removal", "margin", "temperature", "combined", "dcl", "supcon", "moco", "spacl")
} | {
    "by_projections": ["combined", "by_projections"],
    "all_pairs": ["temperature", "all_pairs"],
    "moco_combined": ["moco_combined"],
    **{f"spacl_{part}": ["spacl", f"spacl_{part}"] for part in ("fixed_anchor", "no_adversary", "no_screening")},
    "spacl_random_positives": ["spacl", "spacl_random_positives"],
}
MOMENTS = [(method, moment) for method in METHODS for moment in range(2)]


def training(method):
    return ["fit", *TINY, *(word for name in METHODS[method] for word in ("-c", CONFIGS / f"methods/{name}.yaml"))]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What each method's unbroken training leaves, run when first asked for."""
    known = {}

    def of(method):
        if method not in known:
            code, words = done(folder := tmp_path_factory.mktemp(method), *training(method))
            assert code == 0, words
            known[method] = left(folder)
        return known[method]

    return of


@pytest.mark.parametrize(("method", "moment"), MOMENTS)
def test_a_killed_training_ends_as_an_unbroken_one(method, moment, unbroken, tmp_path, record_property):
    whole = unbroken(method)
    chance = random.Random(f"{method} {moment}")
    step = chance.randint(1, whole["global_step"] - 1)
    process = begin(tmp_path, *training(method))
    await_step(tmp_path, step, process)
    time.sleep(chance.random() * 0.02)
    assert strike(process, signal.SIGKILL)[0] == -signal.SIGKILL, (tmp_path / "log.txt").read_text()
    record_property("step", step)

    checkpoint = last_of(tmp_path)
    record_property("from", torch.load(checkpoint, weights_only=True)["global_step"] if checkpoint else 0)
    code, words = done(tmp_path, *training(method), *(["--ckpt_path", checkpoint] if checkpoint else []))
    assert code == 0, words
    assert_same(left(tmp_path), whole)


def comparison(folder):
    """Two methods for two epochs, in a YAML."""
    folder.mkdir(exist_ok=True)
    settings = {
        "base": str(CONFIGS / "quickstart.yaml"),
        "output": "out",
        "seeds": [0],
        "options": {"model.backbone": "nets.FlatNet", "trainer.max_epochs": 2, "data.train_size": 400},
        "methods": {
            name: {"config": [str(CONFIGS / f"methods/{name}.yaml")], "options": {"data.batch_size": 64}}
            for name in ("simclr", "removal")
        },
    }
    (folder / "comparison.yaml").write_text(yaml.safe_dump(settings))
    return ["compare", "-c", "comparison.yaml"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The table of an unbroken comparison, and the seconds it takes."""
    folder, since = tmp_path_factory.mktemp("unbroken"), time.monotonic()
    code, words = done(folder, *comparison(folder))
    assert code == 0, words
    return (folder / "out/results.md").read_text(), time.monotonic() - since


@pytest.mark.parametrize("moment", range(10))
def test_a_killed_comparison_ends_in_the_table_of_an_unbroken_one(moment, table, tmp_path, record_property):
    expected, seconds = table
    process = begin(tmp_path, *comparison(tmp_path))
    wait = seconds * (moment + random.Random(moment).random()) / 10
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=wait)
    process.kill()
    process.wait()
    record_property("after", round(wait, 1))
    since = time.monotonic()
    while True:  # the killed one's run goes on, and holds the folder until it ends
        code, words = done(tmp_path, *comparison(tmp_path))
        if code != 2 or "is at work in" not in words.splitlines()[-1] or time.monotonic() - since > 60:
            break
    assert code == 0, words
    assert (tmp_path / "out/results.md").read_text() == expected
