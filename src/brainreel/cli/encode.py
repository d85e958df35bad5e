"""Compute targets: the vectors of a frozen encoder for everything that was shown, which training aims at.

clip and latents look at the clips' videos (embeddings; latents of a video autoencoder), text-minilm and prompt read
their captions (sentence embeddings; prompt embeddings of a video pipeline's text encoder).
They are written into the stores, or below --targets for stores that are shared and read only. What is there
already, from the same weights, is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from brainreel.cli.output import show
from brainreel.cli.parse import Device, DryRun
from brainreel.errors import UsageError

EXAMPLE = "brainreel encode stores/sherlock --encoder text-minilm"


def run(
    stores: Annotated[Positional[tuple[Path, ...]], arg(metavar="STORE …", help="one or more")],
    *,
    encoder: Annotated[str, arg(metavar="NAME", help="clip, latents, prompt or text-minilm")] = "text-minilm",
    weights: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="hub id or folder; default: the encoder's own")
    ] = None,
    targets: Annotated[Path | None, arg(metavar="DIR", help="write here instead of into the stores")] = None,
    size: Annotated[
        tuple[int, int] | None, arg(metavar="HEIGHT WIDTH", help="latents: resample videos to it; default: what fits")
    ] = None,
    frames: Annotated[
        int | None, arg(metavar="N", help="latents: resample videos to as many frames; default: what fits")
    ] = None,
    device: Device = "cpu",
    dry_run: DryRun = False,
) -> None:
    """Encode them."""
    from brainreel.encoders.encode import encode, identity_of
    from brainreel.pipeline.costs import Cost
    from brainreel.pipeline.outlook import encode_stores_cost
    from brainreel.progress import say
    from brainreel.store import Store
    from brainreel.store.targets import targets_identity
    from brainreel.training.devices import pick_device

    if not stores:
        raise UsageError("no store", expected="one or more folders that `brainreel ingest` made")
    opened = [Store(path) for path in stores]
    identity = identity_of(encoder, weights, size=size, frames=frames)
    todo = [store for store in opened if targets_identity(store, encoder, targets) != identity]
    # Measured for sentences only: what videos and full-size networks take depends on the machine.
    known = encoder == "text-minilm"
    estimate = (
        str(encode_stores_cost(todo) if todo else Cost())
        if known
        else "how long it takes depends on network and machine"
    )
    if dry_run:
        for store in opened:
            show(f"encode {store.root} --encoder {encoder}: {'run' if store in todo else 'up to date'}")
        show(estimate if todo else "everything is up to date")
        return
    where = str(pick_device(device))
    if todo:
        say(f"{len(todo)} of {len(opened)} stores to encode: {estimate}")
    made = encode(opened, encoder=encoder, weights=weights, targets=targets, device=where, size=size, frames=frames)
    for path in made:
        show(str(path))
