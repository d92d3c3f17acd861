"""The theory has no shapes to check; its own checks are what a user meets."""

import pytest
from jaxtyping import config


@pytest.fixture(scope="package", autouse=True)
def _unchecked_types():
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
