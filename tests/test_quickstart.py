"""The quick start's promise, measured as a user would: minutes, therefore slow."""

import json
import subprocess
import sys

import pytest
from commands import CONFIGS, ROOT


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_linear_probe_reads_held_out_digits_from_the_features(seed, tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), "fit", "-c", str(CONFIGS / "quickstart.yaml")]
    subprocess.run([*command, "--seed_everything", str(seed)], cwd=tmp_path, check=True, timeout=900)
    (summary,) = tmp_path.rglob("summary.json")
    accuracy = json.loads(summary.read_text())["accuracy"]
    assert accuracy["final"]["val_linear_top1"] >= 0.96
    assert accuracy["final"]["val_linear_top1"] > accuracy["untrained backbone"]["val_linear_top1"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_linear_probe_reads_held_out_digits_from_spacls_features(seed, tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), "fit", "-c", str(CONFIGS / "quickstart.yaml")]
    command += ["-c", str(CONFIGS / "methods/spacl.yaml"), "--yardsticks", "false", "--seed_everything", str(seed)]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=900)
    (summary,) = tmp_path.rglob("summary.json")
    assert json.loads(summary.read_text())["accuracy"]["final"]["val_linear_top1"] >= 0.965
