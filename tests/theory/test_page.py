"""The page on the theory is true: its code runs, and it leaves no function out."""

import re
from pathlib import Path

from lit_hardcl import theory

PAGE = (Path(__file__).parents[2] / "docs" / "theory.md").read_text(encoding="utf-8")


def test_every_claim_of_the_page_checks_out():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    namespace = {}
    for block in blocks:
        exec(compile(block, "docs/theory.md", "exec"), namespace)

    assert len(blocks) == PAGE.count("```") / 2


def test_the_page_calls_every_function():
    code = "".join(re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE))
    functions = {name for name in theory.__all__ if name[0].islower()}

    assert {name for name in functions if not re.search(rf"\b{name}\(", code)} == set()
