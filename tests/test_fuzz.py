"""Readers fed with anything, and operations with any floats: an answer or a Refusal, and nothing else.

``FUZZ_EXAMPLES=2000 pytest tests/test_fuzz.py`` looks for longer.
"""

import json
import os
import struct

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lit_hardcl import functional as F
from lit_hardcl.cli.configuration import check_configuration
from lit_hardcl.data import DATASETS
from lit_hardcl.data.decoding import decoded
from lit_hardcl.data.settings import read_indices
from lit_hardcl.earlier import renewed, spelt_anew
from lit_hardcl.errors import Refusal
from lit_hardcl.files import read_yaml
from lit_hardcl.hardness.score_files import read_scores
from lit_hardcl.runs import logged_similarities, read_config, read_summary
from lit_hardcl.runs.reading import LEVELS

fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "30")),
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
WORDS = st.sampled_from(["model", "data", "class_path", "init_args", "accuracy", "history", "seconds", "indices", "0"])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=5)
)
JSON = TREES.map(lambda tree: json.dumps(tree).encode())
YAML = TREES.map(lambda tree: yaml.safe_dump(tree).encode())
ALIASED = st.text("ab:&* []{}<,-\n\t!|>'\"", max_size=60).map(str.encode)
LINES = st.lists(st.text("0123456789-.,eEnaif\t ", max_size=8), max_size=6).map(lambda lines: "\n".join(lines).encode())
ANYTHING = st.binary(max_size=80) | JSON | YAML | ALIASED | LINES
CSV = LINES.map(lambda lines: b"index,score\n" + lines) | ANYTHING
METRICS = LINES.map(lambda lines: ",".join(("epoch", *LEVELS)).encode() + b"\n" + lines) | ANYTHING
CELLS = st.sampled_from(["val_0.JPEG", "n01443537", "n01629819", "", "../x", "0"])
LABELS = st.lists(st.lists(CELLS, max_size=3).map("\t".join), max_size=3).map("\n".join).map(str.encode) | ANYTHING
IDX = st.builds(
    lambda magic, sizes, body: struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + body,
    st.sampled_from([0x801, 0x803, 0x802, 0x903, 0xD03, 0]) | st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 3) | st.integers(0, 2**32 - 1), max_size=3),
    st.binary(max_size=30),
)


def told(read):
    """What was read, or ``None`` if it was refused."""
    try:
        return read()
    except Refusal:
        return None


@fuzzed
@given(content=ANYTHING)
def test_indices_are_whole_numbers_or_refused(content, tmp_path):
    (tmp_path / "f").write_bytes(content)
    found = told(lambda: read_indices(str(tmp_path / "f")))
    assert found is None or all(type(index) is int for index in found)


@fuzzed
@given(content=CSV)
def test_scores_are_of_images_once_each_or_refused(content, tmp_path):
    (tmp_path / "f").write_bytes(content)
    if (found := told(lambda: read_scores(tmp_path / "f"))) is not None:
        indices, scores = found
        assert len(indices) == len(scores) == len(indices.unique())
        assert (indices >= 0).all()
        assert not scores.isinf().any()


@fuzzed
@given(content=ANYTHING)
def test_a_summary_has_its_numbers_or_is_refused(content, tmp_path):
    (tmp_path / "f").write_bytes(content)
    if (found := told(lambda: read_summary(tmp_path / "f"))) is not None:
        rows = [*found["accuracy"].values(), *found["history"].values(), {"": found["seconds"]}]
        assert all(isinstance(value, (int, float)) for row in rows for value in row.values())
        assert all(str(int(epoch)) == epoch for epoch in found["history"])


@fuzzed
@given(content=METRICS)
def test_logged_similarities_are_numbers_or_refused(content, tmp_path):
    (tmp_path / "metrics.csv").write_bytes(content)
    found = told(lambda: logged_similarities(tmp_path))
    assert found is None or all(found[name] - found[name] == 0 for name in LEVELS)


@fuzzed
@given(content=ANYTHING)
def test_a_configuration_comes_to_an_end_or_is_refused(content, tmp_path):
    (tmp_path / "f").write_bytes(content)
    told(lambda: check_configuration(tmp_path / "f"))
    told(lambda: read_config(tmp_path / "f"))
    read = told(lambda: read_yaml(tmp_path / "f", "a file"))
    assert len(str(renewed(read)) + str(spelt_anew(read))) < 10**6


@fuzzed
@given(content=LABELS)
def test_annotations_name_training_classes_or_are_refused(content, tmp_path):
    folder = tmp_path / "tiny-imagenet-200"
    for label in ("n01443537", "n01629819"):
        (folder / "train" / label).mkdir(parents=True, exist_ok=True)
    (folder / "val").mkdir(exist_ok=True)
    (folder / "val/val_annotations.txt").write_bytes(content)
    (folder / "words.txt").write_bytes(content)
    assert told(lambda: DATASETS["tiny_imagenet"].load(tmp_path, False, False)) is None  # there is no image


@fuzzed
@given(pixels=IDX, labels=IDX)
def test_idx_files_hold_as_many_labels_as_images_or_are_refused(pixels, labels, tmp_path):
    folder = tmp_path / "FashionMNIST/raw"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "t10k"):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(pixels)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    images = told(lambda: DATASETS["fashion_mnist"].load(tmp_path, True, False))
    assert images is None or len(images.pixels) == len(images.targets)


@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12), end=st.integers(1, 3000))
@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "webp", "tif"])
def test_an_image_file_is_decoded_or_refused(kind, changes, end, tmp_path):
    file = tmp_path / f"a.{kind}"
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(file)
    content = bytearray(file.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    file.write_bytes(content[:end])
    image = told(lambda: decoded(file))
    assert image is None or (image.dtype == torch.uint8 and image.shape[0] == 3)


FLOATS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-38, 1e38, float("inf"), -float("inf"), float("nan")])


@fuzzed
@given(
    values=st.lists(st.lists(FLOATS | st.floats(-2, 2, width=32), min_size=4, max_size=4), min_size=2, max_size=5),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    share=st.floats(-0.5, 1.5) | st.just(float("nan")),
)
def test_operations_on_any_floats_answer_in_shape_or_refuse(values, dtype, share):
    rows = torch.tensor(values, dtype=torch.float64).to(dtype)
    count, places = len(rows), torch.zeros(len(rows), dtype=torch.long)
    every = torch.ones(rows.shape, dtype=torch.bool)
    for op, shape in (
        (lambda: F.cosine_similarity(rows), (count, count)),
        (lambda: F.unit_vectors(rows), (count, 4)),
        (lambda: F.difficult_pairs(rows, share, 0.9), (count, 4)),
        (lambda: F.pair_logits(rows, every, 0.5, margin=share), (count, 4)),
        (lambda: F.nt_xent_rows(rows, places), (count,)),
        (lambda: F.dcl_rows(rows, places), (count,)),
        (lambda: F.supcon_rows(rows, every), (count,)),
        (lambda: F.hardest_candidate(rows.unsqueeze(0)), (1,)),
        (lambda: F.farthest_points(rows.unsqueeze(0), places[:1], 1), (1, 1)),
        (lambda: F.screen_negatives(rows, share), (count, 4)),
    ):
        answer = told(op)
        assert answer is None or tuple(answer.shape) == shape
