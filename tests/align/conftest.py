import pytest
import torch

from .planted import event_store, film_store


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Bit-for-bit comparisons and small arrays: more threads only cost time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def events(tmp_path_factory):
    """(store, targets) of an event release."""
    return event_store(tmp_path_factory.mktemp("planted") / "events")


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """(store, targets) of a continuous release."""
    return film_store(tmp_path_factory.mktemp("planted") / "film")
