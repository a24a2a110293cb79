"""The synthetic run as fixtures."""

from collections.abc import Callable

import pytest
from synthetic_board import synthetic_run

from leaderboards.schema import RunResults


@pytest.fixture(scope="session")
def run() -> RunResults:
    return synthetic_run()


@pytest.fixture(scope="session")
def make_run() -> Callable[..., RunResults]:
    return synthetic_run
