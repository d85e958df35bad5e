"""Trials of a clip → one answer for the clip: conditions as the video model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from brainreel.metrics.identification import first_rows
from brainreel.regress.captions import CaptionPool
from brainreel.regress.conditions import Conditions
from brainreel.regress.regressor import Regressor

Ids = Sequence[str] | Shaped[np.ndarray, " trials"]


def conditions_of(
    embedding: Float[np.ndarray, "trials dim"],
    clip_ids: Ids,
    regressor: Regressor,
    *,
    pool: CaptionPool | None = None,
    model: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Conditions:
    """One person's conditions: predictions of single repetitions, averaged over those of a clip.

    Whoever the embeddings are of: a person that was trained on, or a newcomer's zero-shot ones.

    Args:
        embedding: One row per trial, as stage 1 gives them.
        clip_ids: The clip of each trial; conditions stand in the order in which clips first appear.
        regressor: A fitted one.
        pool: Captions to read the mean embedding of a clip out in, as the regressor's settings say; None: no captions.
        model: ``network`` or ``ridge``; default: the regressor's own choice.
        facts: Kept with the conditions.
    """
    ids, clip = _distinct(clip_ids)
    found = regressor.predict_components(embedding, model)
    vectors = regressor.expand({name: mean_over(values, clip) for name, values in found.items()})
    captions = [] if pool is None else pool.read(mean_over(embedding, clip), regressor.config.captions)[0]
    return Conditions(ids, vectors, captions, dict(facts or {}))


def certainty_of(
    embedding: Float[np.ndarray, "trials dim"],
    clip_ids: Ids,
    regressor: Regressor,
    *,
    pool: CaptionPool | None = None,
    model: str | None = None,
) -> pd.DataFrame:
    """How sure the answers of `conditions_of` are, one row per clip in the same order.

    Columns: ``clip_id``; ``repetitions``; ``spread_<condition>``: standard deviation over the repetitions of the
    predicted components, in units of the spread of the training clips' targets (0: all repetitions agree; 1: they
    differ as much as clips do; NaN with a single repetition); ``caption_cosine``: of the caption that was
    read.
    """
    ids, clip = _distinct(clip_ids)
    counts = np.bincount(clip, minlength=len(ids))
    table: dict[str, Any] = {"clip_id": ids, "repetitions": counts}
    for name, values in regressor.predict_components(embedding, model).items():
        squares = np.square(values - mean_over(values, clip)[clip]).mean(1)
        total = np.bincount(clip, squares, minlength=len(ids))
        several = counts > 1
        table[f"spread_{name}"] = np.where(several, np.sqrt(total / np.where(several, counts - 1, 1)), np.nan)
    if pool is not None:
        table["caption_cosine"] = pool.read(mean_over(embedding, clip), regressor.config.captions)[1]
    return pd.DataFrame(table)


def mean_over(values: Float[np.ndarray, "trials dim"], clip: np.ndarray) -> Float[np.ndarray, "clips dim"]:
    """Mean of the rows of each clip (numbered from 0 without gaps)."""
    sums = np.zeros((int(clip.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, clip, values)
    return (sums / np.bincount(clip)[:, None]).astype(np.float32)


def _distinct(clip_ids: Ids) -> tuple[list[str], np.ndarray]:
    labels = np.asarray(clip_ids, dtype=str)
    first, clip = first_rows(labels)
    return labels[first].tolist(), clip
