import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from brainreel.datasets import DATASETS
from brainreel.store import Store, StoreWriter
from shared_files import shared


def _ingest(name: str, source: Path, store: Path, **options) -> Store:
    dataset = DATASETS[name]
    with StoreWriter(store, dataset.manifest(source)) as writer:
        dataset.ingest(source, writer, **options)
    return Store(store)


@pytest.fixture(scope="session")
def ingest() -> Callable[..., Store]:
    """A release becomes a store: ingest(dataset, source, store, **options)."""
    return _ingest


@pytest.fixture(scope="session")
def sherlock_twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sherlock") / "twin"
    DATASETS["sherlock"].twin(out, size="tiny", seed=0)
    return out


@pytest.fixture(scope="session")
def sherlock_store(sherlock_twin, tmp_path_factory) -> Store:
    return _ingest("sherlock", sherlock_twin, tmp_path_factory.mktemp("stores") / "sherlock")


@pytest.fixture
def kit(sherlock_twin, tmp_path) -> Path:
    """A copy of the twin that a test may damage."""
    return Path(shutil.copytree(sherlock_twin, tmp_path / "kit"))


@pytest.fixture(scope="session")
def real_kit() -> Path:
    return shared("sherlock_kit")
