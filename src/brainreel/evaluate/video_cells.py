"""A scored fold on disk: so that a scoring that was interrupted goes on with the next fold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from brainreel.errors import ExperimentError
from brainreel.evaluate.score_measures import Measure
from brainreel.evaluate.video_fold import CELLS, FoldScores
from brainreel.evaluate.video_measures import Asked
from brainreel.files import write_bytes


def write_fold(path: Path, scores: FoldScores) -> None:
    """Save as safetensors: ``cells`` (pairs, cells, measures, 2) float64, and what its axes are in the metadata."""
    cells = np.stack(list(scores.cells.values())) if scores.cells else np.zeros((0, len(CELLS), len(scores.asked), 2))
    about = {
        "cells": list(CELLS),
        "pairs": list(scores.cells),
        "asked": [[*one.measure, one.facts, one.network] for one in scores.asked],
        "missing": scores.missing,
        "notes": scores.notes,
    }
    write_bytes(path, save({"cells": np.ascontiguousarray(cells, np.float64)}, {"scores": json.dumps(about)}))


def read_fold(path: Path) -> FoldScores:
    """Read what `write_fold` saved; its measures can no longer be asked of other videos.

    Raises:
        ExperimentError: if the file is missing, cut short, or of another version.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            cells = file.get_tensor("cells")
            about = json.loads(file.metadata()["scores"])
        if about["cells"] != list(CELLS):
            raise ValueError(f"cells {about['cells']}")
        asked = [
            Asked(Measure(metric, definition, kind), facts, network)
            for metric, definition, kind, facts, network in about["asked"]
        ]
        pairs = {(subject, clip): cell for (subject, clip), cell in zip(about["pairs"], cells, strict=True)}
        return FoldScores(asked, pairs, about["missing"], tuple(about["notes"]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ExperimentError(f"{path} holds no scores ({error})", do="run `brainreel evaluate` again") from error
