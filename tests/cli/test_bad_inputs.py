"""Bad numbers and settings end in one sentence that names the option, its value and the rule, and leave nothing."""

import pytest
from bad_inputs import CASES

pytestmark = pytest.mark.refusal


@pytest.mark.parametrize(("arguments", "sentence"), CASES)
def test_it_is_refused_in_one_sentence_before_anything_is_written(arguments, sentence, run, tmp_path, unchecked_shapes):
    code, _, errors = run(*arguments)
    said = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in errors
    assert "usage:" not in errors
    assert list(tmp_path.iterdir()) == []
