"""A run is found from any of its places, and a checkpoint elsewhere is of no run that lies below it."""

from lit_hardcl.runs import Run


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
