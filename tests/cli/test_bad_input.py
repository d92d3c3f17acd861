"""What the user gets wrong is named with its value and rule, before any training, and leaves nothing behind."""

import pytest
import torch
from commands import CONFIGS, TINY
from PIL import Image

pytestmark = pytest.mark.refusal

SPACL = ["-c", str(CONFIGS / "methods/spacl.yaml")]
BAD = {
    "pos_high above pos_low": (["--model.pos_high", "0.5"], "0 <= pos_high < pos_low <= 1 must hold, got pos_high=0.5"),
    "pos_high below 0": (["--model.pos_high", "-0.1"], "0 <= pos_high < pos_low <= 1 must hold, got pos_high=-0.1"),
    "pos_low above 1": (["--model.pos_low", "1.5"], "pos_low=1.5"),
    "temperature": (["--model.temperature", "0"], "temperature must be positive and finite, got 0.0"),
    "temperature scale": (["--model.temperature_scale", "-1"], "temperature_scale must be positive"),
    "margin": (["--model.margin", ".nan"], "margin must be finite, got nan"),
    "infinite margin": (["--model.margin", ".inf"], "margin must be finite, got inf"),
    "batch of one": (["--data.batch_size", "1"], "batch_size must be at least 2, got 1"),
    "no batch": (["--data.batch_size", "0"], "batch_size must be at least 2, got 0"),
    "batch above the data": (["--data.batch_size", "5000"], "batch_size must be at most"),
    "unknown data set": (["--data.dataset", "imagenet"], "dataset must be one of cifar10, cifar100, digits"),
    "missing data": (["--data.dataset", "cifar10"], "--data.download=true"),
    "unknown method": (["--model", "SimSiam"], "Known methods: SPACL, MoCo, SimCLR, SimCLRCombined"),
    "unknown option": (["--model.nonsense", "1"], "nonsense"),
    "no checkpoint": (["--ckpt_path", "none.ckpt"], "ckpt_path must be a checkpoint, but there is no file none.ckpt"),
    "three views": (["--data.num_views", "3"], "contrasts 2 views of an image, got 3"),
    "one view": (
        [*SPACL, "--data.num_views", "1", "--data.clean_view", "false"],
        "at least 2 views of an image, got 1",
    ),
    "no positives": ([*SPACL, "--model.positives", "0"], "positives must be at least 1, got 0"),
    "positives above the pool": ([*SPACL, "--model.positives", "4"], "at most 3, the candidates of a pool of 4"),
    "share of nothing": ([*SPACL, "--model.screening_share", "0"], "must be in (0, 1], got 0.0"),
    "share above all": ([*SPACL, "--model.screening_share", "1.5"], "must be in (0, 1], got 1.5"),
    "no coarse labels": ([*SPACL, "--model.supervision", "coarse"], "needs coarse_targets"),
    "missing config": (["-c", "none.yaml"], "none.yaml"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_by_name_and_nothing_is_left(case, run, tmp_path):
    options, message = BAD[case]
    code, _, errors = run("fit", *TINY, *options)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_checkpoint_is_refused(run, tmp_path):
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    assert "text.ckpt cannot be read as one" in run("fit", *TINY, "--ckpt_path", "text.ckpt")[2]
    assert "other.ckpt holds no state_dict" in run("fit", *TINY, "--ckpt_path", "other.ckpt")[2]


def test_a_checkpoint_of_other_weights_is_refused(run, tmp_path):
    torch.save({"state_dict": {"backbone.1.weight": torch.zeros(3)}, "pytorch-lightning_version": "2.6.0"}, "w.ckpt")
    code, _, errors = run("validate", *TINY, "--ckpt_path", "w.ckpt")
    assert code == 2
    assert "the checkpoint does not fit this SimCLRCombined" in errors


def test_a_loss_that_is_no_number_stops_the_run_at_its_step(run, tmp_path):
    code, _, errors = run("fit", *TINY, "--model.optimizer.lr", "1e30")
    assert code == 2
    assert "stopped being finite at step" in errors
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_image_is_named_also_from_a_worker(workers, run, tmp_path):
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (40, 40), (60 * number, 0, 0)).save(tmp_path / split / name / f"{number}.png")
    (tmp_path / "train/dog/2.png").write_bytes(b"no image")
    data = ["--data.dataset", "image_folder", "--data.data_dir", ".", "--data.batch_size", "8"]
    data += ["--data.image_size", "32", "--data.num_workers", str(workers), "--data.eval_batch_size", "8"]
    options = ["--model.backbone.pixels", "3072", "--trainer.log_every_n_steps", "1"]
    code, _, errors = run("fit", *TINY, *data, *options, "--data.augmentation", "null")
    assert code == 2
    assert "2.png" in errors
    assert "Traceback" not in errors


def test_an_error_of_somebody_elses_code_keeps_its_traceback(run, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "from nets import Foreign\n\n\nclass Theirs(Foreign):\n"
        "    def training_step(self, batch, batch_idx):\n        raise ValueError('theirs')\n"
    )
    with pytest.raises(ValueError, match="theirs"):
        run("fit", "--model", "theirs.Theirs", "--trainer.max_epochs", "1", "--trainer.log_every_n_steps", "1")


def test_the_help_of_a_method_lists_every_option_with_its_type(run):
    code, output, _ = run("fit", "-c", CONFIGS / "quickstart.yaml", "--model", "SimCLRMargin", "--help")
    assert code == 0
    for option, kind in (
        *(("margin", "float"), ("pos_high", "float"), ("pos_low", "float"), ("temperature", "float")),
        *(("backbone", "Module"), ("projection_head", "Module"), ("gather_distributed", "bool")),
        *(("select_by", "Literal"), ("optimizer", "Callable"), ("scheduler", "Callable")),
    ):
        start = output.index(f"  --model.{option} ")
        assert kind in " ".join(output[start : start + 1200].split()), option
    assert "--model.temperature_scale" not in output
