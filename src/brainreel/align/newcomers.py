"""People the model was not trained on: at once (zero-shot), or after a few minutes of their own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from brainreel.align.decoders import NetworkDecoder
from brainreel.align.examples import Recording
from brainreel.align.refit import solve_adapter
from brainreel.align.ridge import fit_ridge
from brainreel.cortex.standardise import Scaling
from brainreel.store.reader import Store

if TYPE_CHECKING:
    from brainreel.align.aligner import Aligner

Embed = Callable[[Recording], Float[np.ndarray, "trials dim"]]


def adapt(model: Aligner, own: Recording | None, *, scaling: Scaling | None = None) -> Embed:
    """A newcomer's embedding function, from whatever they gave.

    Args:
        model: Trained on others.
        own: The newcomer's trials; None: zero-shot, through what all adapters have in common.
        scaling: Statistics to standardise the newcomer with. Default: those of ``own`` (inductive), or the
            population's if there is nothing. Statistics of unlabelled test-time data make the result transductive.

    Returns:
        Recording → embeddings; only its responses and space are read.
    """
    decoder = model.decoder_
    if own is None:
        return lambda recording: decoder.embed_newcomer(recording.space, recording.responses, scaling)
    if isinstance(decoder, NetworkDecoder):
        return _closed_form(decoder, own, scaling or own.scaling, model.config.contrastive.newcomer_penalty)
    alone = fit_ridge([own], model.goals_, model.config)
    return lambda recording: alone.embed(own.subject, recording.responses)


def _closed_form(decoder: NetworkDecoder, own: Recording, scaling: Scaling, penalty: float) -> Embed:
    """ΔW alone is solved, as a ridge towards the mean latent that others had at the same clips."""
    values = torch.from_numpy(scaling(own.responses) * own.weight)[None]
    adapters = []
    for member, common_latent in zip(decoder.members, decoder.clip_latents, strict=True):
        adapter = member.adapter(own.space)
        goal = common_latent[torch.from_numpy(own.clip)]
        there = torch.isfinite(goal).all(-1).to(values.dtype)
        bias = adapter.bias.mean(0, keepdim=True)
        delta, _ = solve_adapter(values, goal.nan_to_num()[None], there[None], adapter.common, penalty, bias)
        adapters.append((adapter.common + delta[0], bias[0]))

    def embed(recording: Recording) -> Float[np.ndarray, "trials dim"]:
        test = torch.from_numpy(scaling(recording.responses) * recording.weight)
        found = [
            member.trunk(test @ weight + bias) for member, (weight, bias) in zip(decoder.members, adapters, strict=True)
        ]
        return torch.stack([torch.nn.functional.normalize(values, dim=-1) for values in found]).mean(0).numpy()

    return embed


def first_minutes(store: Store, rows: Int[np.ndarray, " trials"], minutes: float) -> Int[np.ndarray, " trials"]:
    """The trials that lie in the first ``minutes`` of a subject's training time (recording time, gaps left out).

    For event releases: the first trials whose durations (their clips', where unknown) add up to that time.
    """
    trials = store.trials.iloc[rows]
    if store.manifest.kind == "event":
        clip_s = store.clips["duration_s"].to_numpy(float)[store.clip_index(rows)]
        elapsed = np.cumsum(trials["duration_s"].fillna(pd.Series(clip_s, trials.index)).to_numpy(float))
        return rows[elapsed <= 60 * minutes + 1e-6]
    tr_s = store.manifest.tr_s or 1.0
    run = np.unique(trials["run"].to_numpy(dtype=str), return_inverse=True)[1]
    first = np.rint(trials["onset_s"].to_numpy(float) / tr_s).astype(int)
    length = np.rint(trials["duration_s"].to_numpy(float) / tr_s).astype(int)
    # Which volumes of each run are covered, in the order of recording; a window needs all of its volumes.
    longest = int((first + length).max()) if len(rows) else 0
    covered = np.zeros((run.max(initial=-1) + 1, longest), bool)
    for row, (start, count) in enumerate(zip(first, length, strict=True)):
        covered[run[row], start : start + count] = True
    elapsed = np.cumsum(covered.ravel()).reshape(covered.shape)
    last = elapsed[run, first + length - 1] if len(rows) else np.zeros(0)
    return rows[last * tr_s <= 60 * minutes + 1e-6]
