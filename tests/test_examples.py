"""The examples do what they say, in the time they say."""

import runpy
import time

from commands import ROOT


def test_spacl_trains_an_encoder_of_a_table_in_under_a_minute():
    start = time.process_time()
    accuracy = runpy.run_path(str(ROOT / "examples/spacl_on_vectors.py"))["main"]()
    assert time.process_time() - start < 60
    assert accuracy["SPACL"] > accuracy["untrained"] > 0.85
