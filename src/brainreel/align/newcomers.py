"""People the model was not trained on: at once (zero-shot), or after a few minutes of their own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from brainreel.align.config import ConsensusConfig
from brainreel.align.decoders import LinearDecoder, NetworkDecoder
from brainreel.align.examples import Recording
from brainreel.align.refit import ridge_solve, solve_adapter
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
    if isinstance(decoder, LinearDecoder) and decoder.answers is not None:
        return _towards_answers(decoder, own, scaling, model.config.consensus)
    if isinstance(decoder, NetworkDecoder):
        return _closed_form(decoder, own, scaling or own.scaling, model.config.contrastive.newcomer_penalty)
    alone = fit_ridge([own], model.goals_, model.config)
    return lambda recording: alone.embed(own.subject, recording.responses)


def _towards_answers(
    decoder: LinearDecoder, own: Recording, scaling: Scaling | None, settings: ConsensusConfig
) -> Embed:
    """The newcomers' map plus a ridge of its error at the clips that the newcomer and the trained subjects saw."""
    count = len(own.clip)
    scaling = scaling or shrunk_scaling(own.scaling, count, decoder.population(own.space), settings.own_statistics)
    weights = decoder.newcomer_map(own.space)
    # Maps take responses that are only standardised; the penalty is fair to features as they were weighted.
    values = scaling(own.responses) * own.weight
    goal = (decoder.answers if decoder.answers is not None else np.empty((0, 0)))[own.clip]
    known = np.isfinite(goal).all(1)
    if known.any():
        error = goal[known] - (scaling(own.responses[known]) @ weights[:-1] + weights[-1])
        change = ridge_solve(
            torch.from_numpy(values[known]),
            torch.from_numpy((error - error.mean(0)).astype(np.float32)),
            settings.own_penalty / int(known.sum()),
        )
        weights = np.concatenate([weights[:-1] + change.numpy() * own.weight[:, None], weights[-1:]])
    return lambda recording: scaling(recording.responses) @ weights[:-1] + weights[-1]


def shrunk_scaling(own: Scaling, trials: int, population: Scaling, half: float) -> Scaling:
    """A newcomer's statistics from few trials, drawn towards the population's: own ones weigh n / (n + half)."""
    share = trials / (trials + half)
    mean = share * own.mean + (1 - share) * population.mean
    variance = share * (own.std**2 + (own.mean - mean) ** 2)
    variance += (1 - share) * (population.std**2 + (population.mean - mean) ** 2)
    return Scaling(mean.astype(np.float32), np.sqrt(variance).astype(np.float32))


def _closed_form(decoder: NetworkDecoder, own: Recording, scaling: Scaling, penalty: float) -> Embed:
    """ΔW alone is solved, as a ridge towards the mean latent that others had at the same clips."""
    device = decoder.members[0].log_temperature.device
    values = torch.from_numpy(scaling(own.responses) * own.weight)[None].to(device)
    adapters = []
    for member, common_latent in zip(decoder.members, decoder.clip_latents, strict=True):
        adapter = member.adapter(own.space)
        goal = common_latent[torch.from_numpy(own.clip).to(device)]
        there = torch.isfinite(goal).all(-1).to(values.dtype)
        bias = adapter.bias.mean(0, keepdim=True)
        delta, _ = solve_adapter(values, goal.nan_to_num()[None], there[None], adapter.common, penalty, bias)
        adapters.append((adapter.common + delta[0], bias[0]))

    def embed(recording: Recording) -> Float[np.ndarray, "trials dim"]:
        test = torch.from_numpy(scaling(recording.responses) * recording.weight).to(device)
        found = [
            member.trunk(test @ weight + bias) for member, (weight, bias) in zip(decoder.members, adapters, strict=True)
        ]
        return torch.stack([torch.nn.functional.normalize(values, dim=-1) for values in found]).mean(0).cpu().numpy()

    return embed


def first_minutes(store: Store, rows: Int[np.ndarray, " trials"], minutes: float) -> Int[np.ndarray, " given"]:
    """The trials that lie in the first ``minutes`` of a subject's training time (recording time, gaps left out).

    For event releases: the first trials whose durations (their clips', where unknown) add up to that time.
    """
    trials = store.trials.iloc[rows]
    if store.manifest.kind == "event":
        clip_s = store.clips["duration_s"].to_numpy(float)[store.clip_index(rows)]
        elapsed = np.cumsum(trials["duration_s"].fillna(pd.Series(clip_s, trials.index)).to_numpy(float))
        return rows[elapsed <= 60 * minutes + 1e-6]
    tr_s = store.manifest.tr_s or 1.0
    # Runs in the order in which they were recorded, which is not that of their names: run-10 comes after run-9.
    run = pd.factorize(trials["run"])[0]
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
