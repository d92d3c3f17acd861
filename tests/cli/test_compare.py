"""``lit-hardcl compare``: planned, run, killed and gone on with, and refused before anything runs."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from commands import CONFIGS, ROOT

from lit_hardcl.compare import alone_in

KILLER = """
import os
import signal
from pathlib import Path

import lightning.pytorch as pl


class Killer(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 8 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def comparison(tmp_path, **changes):
    """A comparison of two methods on half of the digits with a flat net, in a YAML."""
    settings = {
        "base": str(CONFIGS / "quickstart.yaml"),
        "overlays": [str(CONFIGS / "callbacks/statistics.yaml")],
        "output": "out",
        "seeds": [0],
        "options": {
            "model.backbone": "nets.FlatNet",
            "trainer.max_epochs": 2,
            "trainer.check_val_every_n_epoch": 1,
            "data.train_size": 800,
        },
        "methods": {
            "SimCLR": {"config": [str(CONFIGS / "methods/simclr.yaml")]},
            "removal": {"config": [str(CONFIGS / "methods/removal.yaml")]},
        },
        **changes,
    }
    file = tmp_path / "comparison.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def results(folder):
    """The rows, without what may differ between two equal runs."""
    with (folder / "results.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in ("seconds", "folder")} for row in csv.DictReader(file)]


def test_a_comparison_killed_in_a_run_ends_in_the_table_of_an_unbroken_one(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "killer.py").write_text(KILLER)
    file = comparison(tmp_path)
    given = yaml.safe_load(file.read_text())
    given["overlays"].append("killer.yaml")
    (tmp_path / "killer.yaml").write_text("trainer:\n  callbacks+:\n    - class_path: killer.Killer\n")
    file.write_text(yaml.safe_dump(given))

    code, output, _ = run("compare", "-c", file)
    assert str(code) == "1 runs failed, and are tried again by the same command: SimCLR, seed 0"
    assert "[2/2] removal, seed 0: linear_top1 0." in output  # one failing run does not lose the others
    assert "SimCLR, seed 0: exit code -9" in output
    assert [row["method"] for row in results(tmp_path / "out")] == ["removal"]

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/runs/removal").rglob("*")}
    code, output, _ = run("compare", "-c", file)
    assert code == 0
    assert "2 runs, 1 of them finished before" in output
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out/runs/removal").rglob("*")}
    assert len(list((tmp_path / "out/runs/SimCLR").rglob("version_*"))) == 2  # gone on with, not begun anew
    assert "Restored all states" in (tmp_path / "out/runs/SimCLR/seed_0/log.txt").read_text()

    code, output, _ = run("compare", "-c", file, "--output", "whole", "--jobs", 2)
    assert code == 0
    assert results(tmp_path / "out") == results(tmp_path / "whole")
    assert len(results(tmp_path / "whole")) == 2
    assert all(0 < float(row["similarity_alpha"]) < 1 for row in results(tmp_path / "whole"))
    table = (tmp_path / "whole/results.md").read_text()
    assert table == (tmp_path / "out/results.md").read_text()
    assert table in output
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {
        *(".lock", "accuracy.png", "epochs.png", "results.csv", "results.md", "runs"),
    }

    (saved,) = (tmp_path / "out/runs/removal").rglob("config.yaml")
    older = yaml.safe_load(saved.read_text())
    del older["data"]["init_args"]["train_size"], older["yardsticks"]
    saved.write_text(yaml.safe_dump(older))
    assert run("compare", "-c", file)[0] == 0  # an option that did not exist then is none that differs

    given["options"]["model.temperature"] = 0.2
    file.write_text(yaml.safe_dump(given))
    code, _, errors = run("compare", "-c", file)
    assert code == 2
    assert "out/runs/SimCLR/seed_0 holds a run with other options: choose another --output" in errors
    assert "temperature: 0.5 in the checkpoint, 0.2 here" in errors


def test_a_comparison_that_is_ended_ends_its_runs_and_is_alone_in_its_folder(tmp_path, run, monkeypatch):
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    )
    file = comparison(tmp_path)
    command = [sys.executable, "-m", "lit_hardcl", "compare", "-c", str(file)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    log = tmp_path / "out/runs/SimCLR/seed_0/log.txt"
    while not log.exists():
        time.sleep(0.1)
    code, _, errors = run("compare", "-c", file)
    assert code == 2
    assert "another comparison, or a run that it left behind, is at work in out" in errors
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert told.decode().splitlines()[-1] == "ended by SIGTERM; the same command goes on from there"
    with alone_in(tmp_path / "out"):  # so no run is left behind
        assert not (tmp_path / "out/results.csv").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": {"x": {"options": {"model": "Nonsense"}}}}, "Known methods: SPACL, MoCo, SimCLR"),
        (
            {"methods": {"x": {"options": {"model.temperature": -1}}}},
            "x, seed 0 cannot be run:\nerror: temperature must be positive",
        ),
        ({"methods": {"x": {"config": ["nowhere.yaml"]}}}, "nowhere.yaml"),
        ({"methods": {}}, "methods and base must be given"),
        ({"methods": {"..": {}}}, "a name needs a letter or a digit, got '..'"),
        (
            {
                "methods": {
                    "m": {"options": {"trainer.callbacks+": {"class_path": "lit_hardcl.callbacks.CollapseAlarm"}}}
                }
            },
            "got trainer.callbacks+ of a CollapseAlarm: put a class_path in an overlay's YAML",
        ),
        ({"output": "comparison.yaml"}, "output must be a folder, but comparison.yaml is a file"),
        ({"methods": {"a b": {}, "a_b": {}}}, "names must differ in letters or digits, got ['a b', 'a_b']"),
        ({"seeds": [1, 1]}, "seeds must be different numbers from 0 on, at least one, got [1, 1]"),
        ({"seeds": []}, "seeds must be different numbers from 0 on, at least one, got []"),
        ({"baseline": "other"}, "baseline must be one of the methods, SimCLR, removal; got other"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"metric": "beauty"}, "beauty"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_cannot_run_is_refused_before_the_first_run(changes, message, run, tmp_path):
    file = comparison(tmp_path, **changes)
    code, _, errors = run("compare", "-c", file)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert {path.name for path in tmp_path.iterdir()} == {"comparison.yaml"}
