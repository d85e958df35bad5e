"""What a clip looked like: the frames of its own video, or of its part of a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from brainreel.errors import StoreError
from brainreel.store.reader import Store
from brainreel.video import read_span, read_video


def clip_frames(store: Store, clip_id: str) -> tuple[UInt8[np.ndarray, "frames height width 3"], float]:
    """The frames of one clip, as they were shown, and their number per second.

    A clip with an onset is a part of the film at its path: the frames whose middle lies between onset and end.
    Any other clip is the whole video at its path.

    Raises:
        StoreError: no such clip, its video is not there, or the film ends before the clip.
        SourceError: the video is damaged.
    """
    row = _row(store, clip_id)
    path = _video(store, row)
    if path is None:
        raise _missing(store, [row])
    if pd.isna(row["onset_s"]):
        whole = read_video(path)
        return whole.frames, len(whole.frames) / (whole.duration_s or 1.0)
    start_s = float(row["onset_s"])
    stop_s = start_s + float(row["duration_s"])
    part = read_span(path, start_s, stop_s)
    if not len(part.frames):
        raise StoreError(
            f"clip {clip_id!r} of {store.name!r} is {start_s:g} to {stop_s:g} s of {path}, which shows nothing then",
            expected="the whole film that was shown",
            do="put that film there, or ingest again with --stimuli",
        )
    return part.frames, len(part.frames) / (part.duration_s or 1.0)


def need_videos(store: Store) -> None:
    """Look for every clip's video, before hours are spent on the first ones.

    Raises:
        StoreError: naming the first clip whose video is not there.
    """
    rows = [row for _, row in store.clips.iterrows()]
    if missing := [row for row in rows if _video(store, row) is None]:
        raise _missing(store, missing)


def _row(store: Store, clip_id: str) -> pd.Series:
    found = np.flatnonzero(store.clips["clip_id"].to_numpy() == clip_id)
    if not len(found):
        raise StoreError(f"store {store.name!r} has no clip {clip_id!r}", expected="a clip_id of its clips.tsv")
    return store.clips.iloc[int(found[0])]


def _video(store: Store, row: pd.Series) -> Path | None:
    """Where a clip's video lies, if it is there; stores note where it lay when they were made."""
    path = store.root / str(row["path"] or "")
    return path if row["path"] and path.is_file() else None


def _missing(store: Store, rows: list[pd.Series]) -> StoreError:
    first = rows[0]
    more = f" (and those of {len(rows) - 1} other clips)" if len(rows) > 1 else ""
    return StoreError(
        f"the video of clip {first['clip_id']!r} of store {store.name!r}{more} is not there",
        expected=f"it at {first['path']}" if first["path"] else "a path in clips.tsv, which has none",
        do="put it there, or ingest again with --stimuli FOLDER",
    )
