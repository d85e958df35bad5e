"""Contrastive gradients of batches that do not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def accumulated(chunks: Sequence[Callable[[], Tensor]], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
    """A loss whose ``backward`` holds one chunk's activations at a time (GradCache, Gao et al. 2021, §3).

    A contrastive loss couples all trials of a batch, so summing the losses of chunks would be another loss. Here
    all embeddings are computed first without a graph; the loss gives their gradients; each chunk is then computed
    again and pulled by its part. The gradient equals that of one big batch.

    Args:
        chunks: Each computes its part of the embeddings, (chunk, …), the same way every time it is called.
        loss_of: The loss of all embeddings, concatenated along the first axis.

    Returns:
        A scalar with the loss's value; its ``backward()`` adds the gradients to the parameters.
    """
    with torch.no_grad():
        parts = [chunk() for chunk in chunks]
    embeddings = torch.cat(parts).requires_grad_()
    loss = loss_of(embeddings)
    pulls = torch.split(torch.autograd.grad(loss, embeddings, retain_graph=True)[0], [len(part) for part in parts])

    def pull_chunks(gradient: Tensor) -> Tensor:
        for chunk, pull in zip(chunks, pulls, strict=True):
            with torch.enable_grad():
                chunk().backward(gradient * pull)
        return gradient

    total = loss + 0.0
    total.register_hook(pull_chunks)
    return total
