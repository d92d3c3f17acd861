"""The benchmarks' own machinery: programs that take turns, ratios of a round, and the page that is made of them."""

import pytest
from commands import ROOT

PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from turns import Turns
steps, turns = Path(sys.argv[2]), Turns(warmup=2)
while True:
    time.sleep(float(sys.argv[3]))
    with steps.open("a") as file:
        file.write("step ")
    turns()
"""


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_programs_stand_still_but_for_their_turns(tmp_path, capfd):
    from turns import take_turns

    (tmp_path / "program.py").write_text(PROGRAM)
    start = [str(tmp_path / "program.py"), str(ROOT / "benchmarks")]
    programs = {name: [*start, str(tmp_path / name), pause] for name, pause in (("fast", "0"), ("slow", "0.05"))}
    seconds, peaks = take_turns({**programs, "broken": [*start, str(tmp_path / "broken")]}, 3, 4, {})
    for name in programs:
        # Two to warm up, then in each of three rounds one that does not count and four that do.
        assert (tmp_path / name).read_text().split() == ["step"] * (2 + 3 * (1 + 4))
        assert len(seconds[name]) == 3
        assert peaks[name] > 1
    assert min(seconds["slow"]) >= 0.05
    assert seconds["broken"] == []
    assert "broken" not in peaks
    assert "broken did not start:" in capfd.readouterr().err


def test_a_program_that_ends_in_its_turn_is_named_with_its_last_words(tmp_path):
    from turns import take_turns

    (tmp_path / "program.py").write_text(
        PROGRAM.replace("while True", "for _ in range(4)") + "raise OSError('no disk')"
    )
    start = [str(tmp_path / "program.py"), str(ROOT / "benchmarks"), str(tmp_path / "steps"), "0"]
    with pytest.raises(RuntimeError, match="(?s)weak ended in its turn.*OSError: no disk"):
        take_turns({"weak": start}, 3, 4, {})


def test_a_ratio_is_of_times_of_one_round():
    from turns import ratio

    seconds = {"ours": [1.0, 20.0, 3.0], "theirs": [2.0, 10.0, 3.0]}
    assert ratio(seconds, "ours", "theirs") == (1.0, 0.5, 2.0)
    assert ratio({"ours": [3.0], "theirs": [2.0]}, "ours", "theirs") == (1.5, 1.5, 1.5)


def test_the_page_says_what_was_measured():
    from page import text

    assert (ROOT / "docs" / "performance.md").read_text() == text()
