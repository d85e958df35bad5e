"""The frozen networks that judge videos: told apart by their files, loaded only if something has to be scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainreel.encoders.weights import folder_or_id, which_weights
from brainreel.evaluate.score_semantics import Kind, Networks
from brainreel.experiment import Experiment
from brainreel.files import write_json

# Whose class of `brainreel.encoders.visual` each is, and the option that gives it.
USES: dict[Kind, tuple[str, str, str]] = {
    "video_classifier": ("videomae", "--classifier", "needs a video classifier, which was not given (--classifier)"),
    "clip": ("clip", "--clip", "needs a CLIP, which was not given (--clip)"),
}
_EXPECTED = "a hub id, or a folder with config.json, preprocessor_config.json and model.safetensors"
_RECORD = "evaluate-videos/networks.json"


class ScoreNetworks:
    """A video classifier and a CLIP, or what is there of them.

    Attributes:
        absent: Networks that were not given → what rows say about it.
        identity: What makes each one's numbers these, as far as it can be told without loading it.

    Raises:
        WeightsError: a path that is no folder.
    """

    def __init__(self, classifier: Path | str | None, clip: Path | str | None, device: str) -> None:
        given: dict[Kind, Path | str | None] = {"video_classifier": classifier, "clip": clip}
        self._given: dict[Kind, str] = {kind: str(source) for kind, source in given.items() if source is not None}
        self._device, self._loaded = device, None
        self.absent: dict[Kind, str] = {kind: why for kind, (*_, why) in USES.items() if kind not in self._given}
        self.identity: dict[str, Any] = {
            kind: which_weights(folder_or_id(source, _EXPECTED), ("*.json", "*.safetensors"))
            for kind, source in self._given.items()
        }

    def load(self) -> Networks:
        """The networks; loading takes torch and seconds, once."""
        if self._loaded is None:
            from brainreel.encoders.visual import load_visual
            from brainreel.training.devices import pick_device

            where = str(pick_device(self._device)) if self._given else self._device
            self._loaded: Networks | None = {
                kind: load_visual(USES[kind][0], source, where) for kind, source in self._given.items()
            }
        return self._loaded

    def remember(self, experiment: Experiment) -> None:
        """Note where they lie, for the next scoring of this experiment."""
        write_json(experiment.root / _RECORD, self._given)


def last_networks(experiment: Experiment) -> dict[str, str]:
    """Where the networks of the last scoring lay, as far as they are still there."""
    try:
        noted = json.loads((experiment.root / _RECORD).read_text())
        return {
            kind: source
            for kind, source in noted.items()
            if kind in USES and not (source.startswith((".", "/", "~")) and not Path(source).expanduser().is_dir())
        }
    except (OSError, ValueError, AttributeError):
        return {}
