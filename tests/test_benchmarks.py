"""The benchmarks' own machinery: programs that take turns, ratios of a round, and the page that is made of them."""

from itertools import pairwise

import pytest
from commands import ROOT

PROGRAM = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from turns import Turns
steps, ticks = (open(sys.argv[2] + ending, "a", buffering=1) for ending in (".steps", ".ticks"))
def tick():
    while True:
        print(time.monotonic(), file=ticks)
        time.sleep(0.005)
threading.Thread(target=tick, daemon=True).start()
turns, left = Turns(warmup=2), int(sys.argv[3])
while left:
    left -= 1
    time.sleep(0.05)
    print("step", file=steps)
    turns()
os._exit(1)
"""


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def program(tmp_path, name, steps=1000):
    (tmp_path / "program.py").write_text(PROGRAM)
    return [str(tmp_path / "program.py"), str(ROOT / "benchmarks"), str(tmp_path / name), str(steps)]


def test_programs_stand_still_but_for_their_turns(tmp_path, capfd):
    from turns import take_turns

    broken = [*program(tmp_path, "broken")[:3], "many"]
    seconds, peaks = take_turns({name: program(tmp_path, name) for name in ("a", "b")} | {"broken": broken}, 3, 4, {})
    for name in ("a", "b"):
        # Two to warm up, then in each of three rounds one that does not count and four that do.
        assert (tmp_path / f"{name}.steps").read_text().split() == ["step"] * (2 + 3 * (1 + 4))
        assert len(seconds[name]) == 3
        assert min(seconds[name]) >= 0.05
        assert peaks[name] > 1
    assert seconds["broken"] == []
    assert "broken" not in peaks
    assert "broken did not start:" in capfd.readouterr().err

    ticks = sorted((float(t), name) for name in "ab" for t in (tmp_path / f"{name}.ticks").read_text().split())
    changes = sum(one != other for (_, one), (_, other) in pairwise(ticks))
    # Started a, b; then turns of a, b; b, a; a, b: five. A signal takes a moment to arrive; side by side they change
    # hundreds of times.
    assert 5 <= changes < 30


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_a_program_that_ends_in_its_turn_is_named(steps, tmp_path):
    from turns import take_turns

    with pytest.raises(RuntimeError, match="weak ended in its turn"):
        take_turns({"weak": program(tmp_path, "weak", steps)}, 3, 4, {})


def test_a_ratio_is_of_times_of_one_round():
    from turns import ratio

    seconds = {"ours": [1.0, 20.0, 3.0], "theirs": [2.0, 10.0, 3.0]}
    assert ratio(seconds, "ours", "theirs") == (1.0, 0.5, 2.0)
    assert ratio({"ours": [3.0], "theirs": [2.0]}, "ours", "theirs") == (1.5, 1.5, 1.5)


def test_the_page_says_what_was_measured():
    from page import text

    assert (ROOT / "docs" / "performance.md").read_text() == text(), "run benchmarks/page.py"


def test_a_target_is_met_or_missed_on_its_side():
    from page import row

    assert row("a", measured=1.1, at_most=1.1) == "| a | 1.10 | <= 1.1 | met |"
    assert row("a", measured=1.11, at_most=1.1).endswith("| missed; reason not examined |")
    assert row("a", "b", measured=4100, quartiles=(4000, 4300), at_least=4200) == (
        "| a | b | 4,100 (4,000 to 4,300) | >= 4,200 | missed; reason not examined |"
    )
    assert row("a", measured=0.0063, at_least=None) == "| a | 0.0063 |  |  |"
    assert row("a", measured=None, at_most=1.5) == "| a | not measured | <= 1.5 | did not run here |"
