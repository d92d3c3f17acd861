"""A run logged offline to W&B, read back from the file that it wrote."""

import os
import struct
import time

import pytest
import wandb
from commands import CONFIGS, TINY
from wandb.proto import wandb_internal_pb2

HEADER, BLOCK = 7, 32768  # of the file, and of LevelDB's log format


def records(path):
    """Records of a .wandb file: a header of 7 bytes, then a LevelDB log of messages, some in several fragments."""
    data, place, message = path.read_bytes(), HEADER, b""
    while place + HEADER <= len(data):
        if (left := BLOCK - place % BLOCK) < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        if kind == 0:
            place += left
            continue
        message += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # whole, or the last fragment
            yield wandb_internal_pb2.Record.FromString(message)
            message = b""


@pytest.fixture
def environment():
    """W&B leaves its mode in the environment."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("environment")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_is_named_configured_once_and_summarised_by_its_best(run, tmp_path):
    code, output, errors = run(
        *("fit", *TINY, "-c", CONFIGS / "methods/removal.yaml", "-c", CONFIGS / "loggers/wandb.yaml"),
        *("--trainer.logger.init_args.offline=true", "--trainer.callbacks+=SimilarityStatistics"),
    )
    assert code == 0, errors
    wandb.finish()  # as at the end of a process
    (file,) = tmp_path.rglob("*.wandb")
    until = time.monotonic() + 30
    while "exit" not in {record.WhichOneof("record_type") for record in records(file)}:
        assert time.monotonic() < until  # W&B's own process writes it, and may be late
        time.sleep(0.1)
    read = list(records(file))

    (started,) = {record.run.display_name for record in read if record.WhichOneof("record_type") == "run"}
    assert started == "SimCLRRemoval-digits"
    (project,) = {record.run.project for record in read if record.WhichOneof("record_type") == "run"}
    assert project == "lit-hardcl"

    configured = [u for record in read if record.WhichOneof("record_type") == "config" for u in record.config.update]
    models = [update.value_json for update in configured if update.key == "model"]
    assert len(models) == 1
    assert "lit_hardcl.SimCLRRemoval" in models[0]
    assert '"pos_high": 0.15' in models[0].replace(":0", ": 0")

    metrics = {record.metric.name: record.metric for record in read if record.WhichOneof("record_type") == "metric"}
    assert metrics["val_linear_top1"].summary.max
    assert metrics["val_knn_top1"].summary.max

    logged = {item.key or item.nested_key[0] for record in read for item in record.history.item}
    assert {"train_loss", "val_linear_top1", "val_linear_top5", "val_knn_top1", "epoch"} <= logged
    assert "checkpoint" in output

    assert {"similarity_alpha", "difficult_precision", "similarity"} <= logged
    images = [path for path in tmp_path.rglob("*.png") if "media" in path.parts]
    assert [path.name.split("_")[0] for path in images] == ["similarity"]
    (saved,) = tmp_path.rglob("similarity.png")
    assert saved.parent == next(tmp_path.rglob("last.ckpt")).parent.parent  # not what runs share
