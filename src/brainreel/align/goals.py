"""What embeddings are trained towards: centred targets, and which clips may meet in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from brainreel.store.folds import inner_folds
from brainreel.store.reader import Store


@dataclass(frozen=True)
class Goals:
    """Targets of all clips of all datasets that are trained on together.

    Attributes:
        values: Centred by ``centre``.
        centre: The mean target of the training clips.
        stimulus: Which continuous stimulus a clip is cut from; an event clip is a stimulus of its own.
        onset_s: Where in that stimulus it begins (0 for event clips).
        end_s: Where it ends.
    """

    values: Float[np.ndarray, "clips dim"]
    centre: Float[np.ndarray, " dim"]
    stimulus: Int[np.ndarray, " clips"]
    onset_s: Float[np.ndarray, " clips"]
    end_s: Float[np.ndarray, " clips"]

    @property
    def dim(self) -> int:
        """Dimension of the targets."""
        return self.values.shape[1]

    def overlap(self, clips: Int[np.ndarray, " some"]) -> Bool[np.ndarray, "some some"]:
        """Pairs of clips that share stimulus time: they say nearly the same and cannot be each other's negatives."""
        same = self.stimulus[clips][:, None] == self.stimulus[clips]
        start = np.maximum(self.onset_s[clips][:, None], self.onset_s[clips])
        return same & (np.minimum(self.end_s[clips][:, None], self.end_s[clips]) - start > 1e-6)

    def phases(self, clips: Int[np.ndarray, " some"]) -> list[Int[np.ndarray, " phase"]]:
        """Clips in groups without overlap inside a group: windows of 10 TR every 2 TR give five groups.

        Greedy interval colouring in order of onset (Kleinberg & Tardos 2005, §4.1), which uses as few groups as
        there are clips at the busiest moment; event clips are one group.
        """
        order = clips[np.lexsort((self.onset_s[clips], self.stimulus[clips]))]
        groups: list[list[int]] = []
        ends: list[tuple[int, float]] = []
        for clip in order.tolist():
            here, onset = int(self.stimulus[clip]), float(self.onset_s[clip])
            free = [g for g, (stimulus, end) in enumerate(ends) if stimulus != here or end <= onset + 1e-6]
            if not free:
                groups.append([])
                ends.append((here, 0.0))
                free = [len(groups) - 1]
            # The group that has waited longest, so that groups stay equally large.
            chosen = min(free, key=lambda g: (len(groups[g]), g))
            groups[chosen].append(clip)
            ends[chosen] = (here, float(self.end_s[clip]))
        return [np.array(group) for group in groups]

    def inner_folds(
        self, clip: Int[np.ndarray, " trials"], count: int, gap_s: float
    ) -> list[tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]]:
        """Folds of trials by their clips' place: contiguous time of continuous stimuli, groups of event clips."""
        # Stimuli follow each other with the gap between them, so that time grows through all of them.
        length = float(self.end_s[clip].max()) + gap_s
        start = self.stimulus[clip] * length
        return inner_folds(start + self.onset_s[clip], start + self.end_s[clip], count, gap_s)

    def tensor(self, device: torch.device | str) -> torch.Tensor:
        """The values on a device."""
        return torch.from_numpy(self.values).to(device)


def goals_of(
    stores: Sequence[Store], values: Float[np.ndarray, "clips dim"], centre: Float[np.ndarray, " dim"]
) -> Goals:
    """Targets ``values`` of all clips of the stores, one store's after the other's, centred."""
    stimulus, onset, end = [], [], []
    for store in stores:
        timed = store.clips["onset_s"].notna().to_numpy() & (store.clips["stimulus"] != "").to_numpy()
        names = np.where(timed, store.clips["stimulus"], store.clips["clip_id"])
        stimulus += [f"{store.name}/{name}" for name in names]
        onset.append(np.where(timed, store.clips["onset_s"], 0.0).astype(float))
        # Releases may not say how long their clips are; an event clip is alone in its time anyway.
        end.append(onset[-1] + np.nan_to_num(store.clips["duration_s"].to_numpy(float)))
    _, codes = np.unique(np.array(stimulus, dtype=str), return_inverse=True)
    starts, ends = (np.concatenate([np.zeros(0), *times]) for times in (onset, end))
    return Goals((values - centre).astype(np.float32), centre, codes, starts, ends)
