"""What was shown: the clips of a store for scoring, those that may teach a control, and stretches of films."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from brainreel.evaluate.video_clips import ReadClip, remembering
from brainreel.metrics.bootstrap import contiguous_blocks
from brainreel.store.clips import clip_frames
from brainreel.store.reader import Store
from brainreel.store.several import Folds, roles_in


def read_shown(store: Store) -> ReadClip:
    """From a clip's name to its frames, as they were shown, and their rate."""
    return remembering(lambda clip: clip_frames(store, clip))


def training_clips(store: Store, folds: Folds, fold: int, shown: Collection[str]) -> list[str]:
    """The clips that a fold was trained on, in the store's order, without any that is shown under another name.

    A test clip that leaked into training is the audit's to report; it makes no control look good.
    """
    table = store.clips
    rows = np.unique(store.clip_index(np.flatnonzero(roles_in(store, folds, fold) == "train")))
    ids, sums = table["clip_id"].astype(str).to_numpy(), table["sha256"].fillna("").astype(str).to_numpy()
    leaked = set(sums[np.isin(ids, list(shown))]) - {""}
    return [str(ids[row]) for row in rows if ids[row] not in shown and sums[row] not in leaked]


def stretches_of(store: Store) -> dict[str, int] | None:
    """Clip → its stretch of at least 30 s of a film, which are resampled together; None where clips stand alone."""
    table = store.clips
    if store.manifest.kind != "continuous" or table["onset_s"].isna().to_numpy().any():
        return None
    onset, duration = (table[name].to_numpy(dtype=float) for name in ("onset_s", "duration_s"))
    labels = contiguous_blocks(onset, duration, scan=table["path"].astype(str).to_numpy())
    return {str(clip): int(label) for clip, label in zip(table["clip_id"], labels, strict=True)}
