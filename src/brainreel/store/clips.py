"""What a clip looked like: the frames of its own video, or of its part of a film."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from brainreel.errors import StoreError
from brainreel.store.reader import Store
from brainreel.video import read_span, read_video


class _Clip(NamedTuple):
    """One row of the clips table; the onset is NaN for a clip with a video of its own."""

    clip_id: str
    path: str
    onset_s: float
    duration_s: float

    def video(self, store: Store) -> Path | None:
        """Where the video lies, if it is there: a store notes where it lay when the store was made."""
        path = store.root / self.path
        return path if self.path and path.is_file() else None


def clip_frames(store: Store, clip_id: str) -> tuple[UInt8[np.ndarray, "frames height width 3"], float]:
    """The frames of one clip, as they were shown, and their number per second.

    A clip with an onset is a part of the film at its path: the frames whose middle lies between onset and end.
    Any other clip is the whole video at its path.

    Raises:
        StoreError: no such clip, its video is not there, or the film ends before the clip.
        SourceError: the video is damaged.
    """
    found = np.flatnonzero(store.clips["clip_id"].to_numpy() == clip_id)
    if not len(found):
        raise StoreError(f"store {store.name!r} has no clip {clip_id!r}", expected="a clip_id of its clips.tsv")
    clip = _clips(store, found[:1])[0]
    path = clip.video(store)
    if path is None:
        raise _missing(store, [clip])
    if np.isnan(clip.onset_s):
        shown = read_video(path)
    else:
        shown = read_span(path, clip.onset_s, clip.onset_s + clip.duration_s)
    if not len(shown.frames):
        raise StoreError(
            f"clip {clip_id!r} of store {store.name!r} begins at {clip.onset_s:g} s, when {path} has ended",
            expected="the whole film that was shown",
            do="put that film there, or ingest again with --stimuli FOLDER",
        )
    return shown.frames, len(shown.frames) / (shown.duration_s or 1.0)


def need_videos(store: Store) -> None:
    """Look for every clip's video, before hours are spent on the first ones.

    Raises:
        StoreError: naming the first clip whose video is not there.
    """
    missing = [clip for clip in _clips(store, np.arange(len(store.clips))) if clip.video(store) is None]
    if missing:
        raise _missing(store, missing)


def _clips(store: Store, rows: np.ndarray) -> list[_Clip]:
    table = store.clips.iloc[rows]
    columns = (table["clip_id"], table["path"], table["onset_s"].astype(float), table["duration_s"].astype(float))
    return [_Clip(*row) for row in zip(*columns, strict=True)]


def _missing(store: Store, clips: list[_Clip]) -> StoreError:
    first = clips[0]
    more = f" (and {len(clips) - 1} more)" if len(clips) > 1 else ""
    return StoreError(
        f"the video of clip {first.clip_id!r}{more} of store {store.name!r} is not there",
        expected=f"it at {first.path}" if first.path else "a path in clips.tsv, which has none for it",
        do="put it there, or ingest again with --stimuli FOLDER",
    )
