import pytest
import torch

from brainreel.regress.regressor import Regressor

from .planted import config, planted


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Bit-for-bit comparisons and small arrays: more threads only cost time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data():
    return planted()


@pytest.fixture(scope="session")
def fitted(data):
    return Regressor(config(), device="cpu").fit(*data.training)
