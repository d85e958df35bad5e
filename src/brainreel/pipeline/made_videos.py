"""The videos that generation left in an experiment, and the words that were read beside them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from brainreel.evaluate.video_clips import ORACLE, generated_clips
from brainreel.regress.conditions import Conditions
from brainreel.report import Sheet, sheet_of


class Videos(NamedTuple):
    """One fold of one way of making videos, of one person or control."""

    root: Path
    strategy: str
    seed: int
    fold: int
    dataset: str
    subject: str

    def sheet(self, clip: str) -> Sheet | None:
        """The video of a clip; None if it was not made."""
        place = f"{self.strategy}/seed-{self.seed}/fold-{self.fold}/{self.dataset}/{self.subject}"
        folder = self.root / "generate" / place
        if not (folder / f"{clip}.npy").is_file():
            return None
        source = generated_clips(folder, [clip])
        video = source.read(0)
        return sheet_of(video.frames, video.source.fps or 1.0)

    def caption(self, clip: str) -> str:
        """What was read in words for a clip (or, of the oracle, what is true); empty where there is nothing."""
        base = self.strategy.partition("+")[0]
        fold = self.root / "regress" / base / f"seed-{self.seed}" / f"fold-{self.fold}"
        name = f"truth/{self.dataset}" if self.subject == ORACLE else f"conditions/{self.dataset}/{self.subject}"
        path = fold / f"{name}.safetensors"
        if not path.is_file():
            return ""
        found = Conditions.read(path)
        return dict(zip(found.clip_id, found.captions, strict=False)).get(clip, "")
