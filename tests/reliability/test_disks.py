"""Disks that fail: one sentence, exit code 1, and what was whole stays whole."""

import shutil
import threading
import time

import pytest
import torch
from disks import small_disk
from reliability.trials import SLOWLY, TINY, await_step, begin, done, last_of

pytestmark = pytest.mark.slow


def fill(disk, room):
    """Leave so many bytes free."""
    free = shutil.disk_usage(disk).free
    (disk / "filler").write_bytes(bytes(max(0, free - room)))


def check(code, words, folder, whole=True):
    """One sentence and exit code 1; every checkpoint under its name can be read, and nothing else lies beside it."""
    assert code == 1, words
    assert "Traceback" not in words, words
    assert [line for line in words.splitlines() if line.startswith("error: ")], words
    for checkpoint in folder.rglob("*.ckpt"):
        torch.load(checkpoint, weights_only=True)
    assert [path.name for path in folder.rglob("*") if "part" in path.name or "tmp" in path.name] == []
    assert (last_of(folder) is not None) == whole


@pytest.mark.parametrize("room", [0, 5_000, 20_000])
def test_a_disk_that_fills_while_training(room, tmp_path):
    with small_disk(tmp_path / "disk", 4096) as disk:
        options = [*TINY, *SLOWLY, "--trainer.logger.save_dir", disk / "runs"]
        process = begin(tmp_path, "fit", *options)
        await_step(tmp_path, 9, process)
        fill(disk, room)
        code = process.wait(timeout=120)
        check(code, (tmp_path / "log.txt").read_text(), disk)
        kept = last_of(disk)
        (disk / "filler").unlink()
        code, words = done(tmp_path, "fit", *options, "--ckpt_path", kept)
        assert code == 0, words


def test_a_disk_that_is_full_from_the_start(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        fill(disk, 0)
        code, words = done(tmp_path, "fit", *TINY, "--trainer.logger.save_dir", disk / "runs")
        check(code, words, disk, whole=False)


def test_a_disk_that_cannot_be_written(tmp_path):
    with small_disk(tmp_path / "disk", 64, options=",ro") as disk:
        code, words = done(tmp_path, "fit", *TINY, "--trainer.logger.save_dir", disk / "runs")
        check(code, words, disk, whole=False)


def test_a_file_that_may_not_grow(tmp_path):
    """As a quota does it: the system refuses what goes beyond 8,192 bytes of a file."""
    process = begin(tmp_path, "fit", *TINY, largest_file=8192)
    code = process.wait(timeout=120)
    check(code, (tmp_path / "log.txt").read_text(), tmp_path, whole=False)


def test_a_run_folder_that_vanishes(tmp_path):
    process = begin(tmp_path, "fit", *TINY, *SLOWLY)
    await_step(tmp_path, 9, process)
    shutil.rmtree(tmp_path / "runs")
    code = process.wait(timeout=120)
    words = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in words, words
    assert code == 1 or last_of(tmp_path) is not None


def test_a_kill_while_saving_with_temporary_files_elsewhere(tmp_path):
    """The file under its final name is whole at every moment, though ``TMPDIR`` lies on another file system."""
    with small_disk(tmp_path / "elsewhere", 4096) as elsewhere:
        process = begin(tmp_path, "fit", *TINY, *SLOWLY, TMPDIR=str(elsewhere))
        torn, stop = [], threading.Event()

        def watch():
            while not stop.is_set():
                for checkpoint in tmp_path.rglob("*.ckpt"):
                    try:
                        torch.load(checkpoint, weights_only=True)
                    except FileNotFoundError:
                        continue
                    except Exception as error:
                        torn.append(f"{checkpoint}: {error}")
                time.sleep(0.001)

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait(timeout=120)
        stop.set()
        watcher.join()
        assert code == 0, (tmp_path / "log.txt").read_text()
        assert torn == []
        assert list(elsewhere.iterdir()) == []


def test_a_result_on_a_full_disk_leaves_the_earlier_one(tmp_path):
    assert done(tmp_path, "fit", *TINY)[0] == 0
    with small_disk(tmp_path / "disk", 64) as disk:
        command = [
            "select",
            last_of(tmp_path),
            "--trust",
            "nets",
            "--share",
            "0.5",
            "--views",
            "1",
            "--output",
            disk / "core.json",
        ]
        assert done(tmp_path, *command)[0] == 0
        before = (disk / "core.json").read_bytes()
        fill(disk, 0)
        code, words = done(tmp_path, *command, "--seed", "1")
        check(code, words.rpartition("Trainer.fit")[2], disk, whole=False)
        assert (disk / "core.json").read_bytes() == before
