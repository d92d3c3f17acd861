"""Every shape annotation of the library is checked while its tests run."""

import os
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import config, install_import_hook

torch.set_num_threads(1)  # tests run side by side, one process for each core
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"  # Lightning's calls, not ours
sys.path.insert(0, str(Path(__file__).parent))  # for `import reference`
# The numeric tower lets an int stand where a float is asked for, as every other type checker does.
install_import_hook("lit_hardcl", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


@pytest.fixture
def unchecked_shapes():
    """A user has no shape checks: what the library itself says of wrong shapes."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
