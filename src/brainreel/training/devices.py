"""Which device computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from brainreel.errors import UsageError


def pick_device(name: str = "auto") -> torch.device:
    """`auto` takes a CUDA or Apple GPU if there is one; any other name must be a device that PyTorch has here.

    Raises:
        UsageError: if the device does not exist.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} is not there ({str(error).splitlines()[0]})", expected="auto, cpu, cuda, cuda:N or mps"
        ) from error
    return device


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """A CPU computes with one thread, so that results do not depend on how many cores there are: sums in another order
    differ in their last bits. (Beside other processes several threads mostly wait for each other.)
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
