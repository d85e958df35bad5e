"""The small frames of a store's clips, kept beside the store: a clip whose checksum is known is not read again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from brainreel.errors import SourceError
from brainreel.files import sha256, write_bytes
from brainreel.progress import say, track
from brainreel.store.looks import Thumbs
from brainreel.store.reader import Store
from brainreel.store.thumbnails import AT, SIDE, Span, thumbnails

# Other frames, another size or another way to make them: what is kept is of no use any more.
_VERSION = "1"


@dataclass(frozen=True)
class Looks:
    """What the clips of a store look like.

    Attributes:
        thumbs: Of all clips; zeros where nothing is known.
        seen: Where something is: the video is there and can be read, or was before.
        film: Clips with the same number are parts of one film; of a clip with a video of its own, its own number.
        damaged: A sentence about every video that is there and cannot be read, or is not what was ingested.
        computed: How many clips had to be read just now.
    """

    thumbs: Thumbs
    seen: Bool[np.ndarray, " clips"]
    film: Int[np.ndarray, " clips"]
    damaged: list[str]
    computed: int


def cache_path(store: Store) -> Path:
    """Where the small frames of a store's clips are kept: ``.<store>.looks`` beside it."""
    root = store.root.resolve()
    return root.with_name(f".{root.name}.looks")


def looks_of(store: Store) -> Looks:
    """What the clips of a store look like, read from their videos as far as the cache does not know them."""
    cache = _Cache(cache_path(store))
    clips = store.clips
    paths = [store.root / path if path else None for path in clips["path"].astype(str)]
    onset_s = clips["onset_s"].to_numpy(dtype=float)
    duration_s = clips["duration_s"].to_numpy(dtype=float)
    whole = np.isnan(onset_s)
    keys: dict[int, str] = {}
    damaged: list[str] = []
    todo: dict[Path, list[int]] = {}
    for row, (path, known) in enumerate(zip(paths, clips["sha256"].astype(str), strict=True)):
        if whole[row] and known in cache.rows:
            keys[row] = known
        elif path is not None and path.is_file():
            content = known if whole[row] and known else cache.sha256(path)
            if not content:
                damaged.append(f"{path} cannot be read; make it readable.")
                continue
            keys[row] = content if whole[row] else f"{content} {onset_s[row]:.4f} {duration_s[row]:.4f}"
            if keys[row] not in cache.rows:
                todo.setdefault(path, []).append(row)
    for path, rows in track(todo.items(), f"look at {store.name}", len(todo)):
        noted = str(clips["sha256"].iloc[rows[0]])
        if whole[rows[0]] and noted and cache.sha256(path) != noted:
            damaged.append(f"{path} is not the video that was ingested; put that one back, or ingest again.")
            continue
        spans: list[Span] | None = None
        if not whole[rows[0]]:
            spans = [(float(onset_s[row]), float(onset_s[row] + duration_s[row])) for row in rows]
        try:
            made = thumbnails(path, spans)
        except SourceError as error:
            damaged.append(" ".join(str(error).split()))
            continue
        for index, row in enumerate(rows):
            cache.add(keys[row], made[0 if spans is None else index])
    if todo:
        cache.write()
    thumbs = np.zeros((len(clips), len(AT), SIDE, SIDE, 3), np.uint8)
    seen = np.zeros(len(clips), bool)
    for row, key in keys.items():
        if key in cache.rows:
            thumbs[row], seen[row] = cache.rows[key], True
    stimuli = {name: k for k, name in enumerate(dict.fromkeys(clips["stimulus"].astype(str)))}
    film = [-1 - row if alone else stimuli[str(clips["stimulus"].iloc[row])] for row, alone in enumerate(whole)]
    damaged = list(dict.fromkeys(damaged))
    return Looks(thumbs, seen, np.array(film, dtype=int), damaged, sum(map(len, todo.values())))


class _Cache:
    """key → small frames, and file → checksum while its size and time of change stay the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: dict[str, np.ndarray] = {}
        self._files: dict[str, tuple[int, int, str]] = {}
        if not path.is_file():
            return
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), "numpy") as stored:
                told = stored.metadata() or {}
                if told.get("version") == _VERSION:
                    keys, thumbs = json.loads(told["keys"]), stored.get_tensor("thumbs")
                    self.rows = dict(zip(keys, thumbs, strict=True))
                    self._files = {name: tuple(facts) for name, facts in json.loads(told["files"]).items()}
        # It is only a cache: what cannot be read is made anew.
        except (SafetensorError, OSError, KeyError, ValueError):
            self.rows, self._files = {}, {}

    def add(self, key: str, thumbs: np.ndarray) -> None:
        self.rows[key] = thumbs

    def sha256(self, path: Path) -> str:
        """The checksum of a file, computed only if the file changed since; «» if it cannot be read."""
        state = path.stat()
        size, changed, digest = self._files.get(str(path), (-1, -1, ""))
        if (size, changed) != (state.st_size, state.st_mtime_ns):
            try:
                digest = sha256(path)
            except OSError:
                return ""
            self._files[str(path)] = (state.st_size, state.st_mtime_ns, digest)
        return digest

    def write(self) -> None:
        from safetensors.numpy import save

        if not self.rows:
            return
        told = {"version": _VERSION, "keys": json.dumps(list(self.rows)), "files": json.dumps(self._files)}
        try:
            write_bytes(self._path, save({"thumbs": np.stack(list(self.rows.values()))}, told))
        except OSError as error:
            say(f"{self._path} cannot be written ({error.strerror}): the next check has to look at the clips again")
