"""The summary of a run: that it says why something is missing."""

import pytest
from trainers import quiet_trainer

from lit_hardcl.runs import RunRecord
from lit_hardcl.runs.summary import summary_of


@pytest.mark.parametrize(("every", "last", "said"), [(5, {}, True), (1, {}, True), (5, {"val_knn_top1": 0.5}, False)])
def test_a_run_shorter_than_its_validations_says_why_they_are_missing(every, last, said):
    record = RunRecord.__new__(RunRecord)
    vars(record).update(seconds=1.0, images=8, last=last, best=last, history={})
    text = summary_of(quiet_trainer(check_val_every_n_epoch=every), record, "SimCLR on digits", {"raw pixels": {}}).text
    assert (f"which comes every {every} epochs: lower trainer.check_val_every_n_epoch" in text) == said
