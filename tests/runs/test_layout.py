"""A run is found from any of its places, and a checkpoint elsewhere is of no run that lies below it."""

import os

from lightning.pytorch.loggers import CSVLogger

from lit_hardcl.runs import Run, claim_folder


def test_a_run_is_found_from_its_checkpoint_its_folders_and_the_one_above(tmp_path):
    version = tmp_path / "Method-digits" / "version_0"
    (version / "checkpoints").mkdir(parents=True)
    (version / "metrics.csv").write_text("")
    (version / "checkpoints" / "last.ckpt").write_text("")
    due = Run(version, version / "checkpoints")
    for place in (due.last, due.checkpoints, version, version.parent):
        assert Run.of(place) == due, place


def test_a_copied_checkpoint_has_the_folder_it_lies_in(tmp_path):
    (tmp_path / "version_0" / "checkpoints").mkdir(parents=True)
    (tmp_path / "version_0" / "metrics.csv").write_text("")
    (tmp_path / "copy.ckpt").write_text("")
    assert Run.of(tmp_path / "copy.ckpt") == Run(tmp_path, tmp_path)


def test_the_newest_run_is_the_last_begun_though_the_clock_has_jumped_back(tmp_path):
    for number in (2, 9, 10):
        folder = tmp_path / "Method-digits" / f"version_{number}" / "checkpoints"
        folder.mkdir(parents=True)
        for file in (folder.parent / "metrics.csv", folder / "summary.json"):
            file.write_text("")
            os.utime(file, (1e9 / number, 1e9 / number))
    assert Run.of(tmp_path / "Method-digits").folder.name == "version_10"
    assert [run.folder.name for run in Run.below(tmp_path)] == ["version_2", "version_9", "version_10"]


def test_two_runs_that_begin_in_one_moment_have_a_folder_each(tmp_path):
    class Late(CSVLogger):
        """Looks at the folder, and is overtaken before it makes its own."""

        def _get_next_version(self):
            version = super()._get_next_version()
            if version == 0:
                claim_folder(first)
            return version

    first, second = CSVLogger(tmp_path, name="run"), Late(tmp_path, name="run")
    claim_folder(second)
    assert [logger.version for logger in (first, second)] == [0, 1]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["version_0", "version_1"]
    chosen = CSVLogger(tmp_path, name="run", version=1)
    claim_folder(chosen)
    assert chosen.version == 1
