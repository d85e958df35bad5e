"""CLIP embeddings of clips and of captions (Radford et al. 2021): the space in which stage 1 decodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, UInt8

from brainreel.encoders.captions import distinct_captions
from brainreel.encoders.protocol import Encoded, Progress, silent
from brainreel.encoders.visual import load_visual
from brainreel.encoders.weights import folder_or_id, loading, which_weights
from brainreel.store.clips import clip_frames, need_videos
from brainreel.store.reader import Store

HUB_ID = "openai/clip-vit-large-patch14"
# Frames that are looked at in every clip: three per second of a clip of 2.6 s.
FRAMES = 8
_TEXTS = 64
_EXPECTED = "a hub id, or a folder with a CLIPModel, its preprocessor_config.json and its tokenizer"
_FILES = ("model*.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt")


class Clip:
    """Image and text side of a transformers `CLIPModel`.

    A clip is the mean over `FRAMES` evenly spaced frames of the projected image embedding, scaled to unit length; a
    caption is its projected text embedding, scaled to unit length. Nearness of the two is their cosine.

    Args:
        weights: A hub id or a local folder; None takes ViT-L/14 from the hub.
        device: Where to compute.

    Raises:
        WeightsError: if nothing of that kind can be loaded from there.
    """

    name = "clip"

    def __init__(self, weights: str | None = None, device: str = "cpu") -> None:
        # transformers is slow to import, and asking for an identity does not need it.
        import transformers

        source = folder_or_id(weights or HUB_ID, _EXPECTED)
        self._vision = load_visual("clip", source, device)
        with loading("tokenizer", source, _EXPECTED):
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(source)
            # Without its vocabulary a tokenizer is built all the same, and every word is unknown to it.
            if len(self._tokenizer) <= len(self._tokenizer.all_special_tokens):
                raise OSError("the tokenizer has no vocabulary")
        self._device = device
        self.identity = self.identify(weights)

    @staticmethod
    def identify(weights: str | None) -> dict[str, Any]:
        """What makes these embeddings these: the checksums of local files or the id on the hub, and the pooling."""
        which = which_weights(folder_or_id(weights or HUB_ID, _EXPECTED), _FILES)
        return {"encoder": Clip.name, "frames": FRAMES, "pooling": "mean of frames, unit length", **which}

    def encode_store(self, store: Store, progress: Progress = silent) -> Encoded:
        """All clips, read one after the other, and all distinct captions.

        Raises:
            StoreError: a clip's video is not there.
            SourceError: a clip's video is damaged.
        """
        need_videos(store)
        clips = store.clips["clip_id"].tolist()
        vectors = [self.images(clip_frames(store, clip)[0]) for clip in progress(clips, len(clips))]
        captions = distinct_captions(store)
        return Encoded(np.stack(vectors), captions, self.texts(captions) if captions else None)

    def images(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> Float32[np.ndarray, " dim"]:
        """The unit-length embedding of one clip's frames."""
        chosen = frames[evenly_spaced(len(frames), FRAMES)]
        return _unit(self._vision.features(chosen[None])[0].mean(0))

    def texts(self, captions: Sequence[str]) -> Float32[np.ndarray, "captions dim"]:
        """Unit-length embeddings of captions, cut at what the text side takes."""
        import torch

        model = self._vision.model
        longest = min(self._tokenizer.model_max_length, model.config.text_config.max_position_embeddings)
        out = np.zeros((len(captions), model.config.projection_dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(captions), _TEXTS):
                tokens = self._tokenizer(
                    list(captions[start : start + _TEXTS]),
                    padding=True, truncation=True, max_length=longest,
                    return_tensors="pt", return_token_type_ids=False,
                ).to(self._device)  # fmt: skip
                found = model.get_text_features(**tokens)
                # transformers 4 returns the tensor itself.
                vectors = getattr(found, "pooler_output", found)
                out[start : start + _TEXTS] = _unit(vectors.float().cpu().numpy())
        return out


def evenly_spaced(frames: int, wanted: int) -> Int[np.ndarray, " wanted"]:
    """The frames in the middles of ``wanted`` equal parts of a clip; some twice if it has fewer."""
    return ((np.arange(wanted) + 0.5) * frames / wanted).astype(int)


def _unit(vectors: Float32[np.ndarray, "*rows dim"]) -> Float32[np.ndarray, "*rows dim"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
