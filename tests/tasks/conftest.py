import os
from pathlib import Path

import pytest

from tasks.records import Record

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data: HARNESS_DATA_DIR, or shared/data beside the repository."""
    folder = Path(os.environ.get("HARNESS_DATA_DIR", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set HARNESS_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of ours may reach the network."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


@pytest.fixture
def number_record() -> Record:
    return Record("n1", "How many?", None, "2 + 3 = 5", "5", "number")


@pytest.fixture
def choice_record() -> Record:
    return Record("c1", "Where is fog?", ("a marsh", "a desert"), "Fog needs water.", "A", "choice")
