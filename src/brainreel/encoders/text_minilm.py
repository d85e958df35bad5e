"""Sentence embeddings of captions: all-MiniLM-L6-v2 (Reimers & Gurevych 2019, sbert.net), 384 numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from brainreel.encoders.captions import caption_weights
from brainreel.encoders.protocol import Encoded, Progress, silent
from brainreel.encoders.weights import folder_or_id, from_wheel, loading, which_weights
from brainreel.store.reader import Store

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256
_FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_BATCH = 64
_EXPECTED = "a hub id, or a folder with config.json, tokenizer.json and model.safetensors"


class TextMiniLM:
    """Mean over tokens of the last hidden state, scaled to unit length, of any BERT-like sentence encoder.

    Args:
        weights: A hub id or a local folder; None takes the installed package's files, else the hub's.
        device: Where to compute.

    Raises:
        WeightsError: if nothing can be loaded from there.
    """

    name = "text-minilm"

    def __init__(self, weights: str | None = None, device: str = "cpu") -> None:
        # transformers is slow to import, and asking for an identity does not need it.
        import torch
        import transformers

        source = _resolve(weights)
        offline = "" if os.environ.get("HF_HUB_OFFLINE") else "; set HF_HUB_OFFLINE=1 to stop it from asking the hub"
        with loading("sentence encoder", source, _EXPECTED, f"give --weights a local folder{offline}"):
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(source)
            self._model = transformers.AutoModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
            # Without its vocabulary a tokenizer is built all the same, and every word is unknown to it.
            if len(self._tokenizer) <= len(self._tokenizer.all_special_tokens):
                raise OSError("the tokenizer has no vocabulary")
        self._model.eval().requires_grad_(False).to(device)
        self._device = device
        self.identity = self.identify(weights)

    @staticmethod
    def identify(weights: str | None) -> dict[str, Any]:
        """What makes these embeddings these: the checksums of local files, or the id on the hub."""
        which = which_weights(_resolve(weights), ("model.safetensors", "config.json", "tokenizer.json", "vocab.txt"))
        return {"encoder": TextMiniLM.name, "pooling": "mean, unit length", "max_tokens": MAX_TOKENS, **which}

    def encode_store(self, store: Store, progress: Progress = silent) -> Encoded:
        """Each clip's captions' embeddings, averaged by their weights; and those of every distinct caption.

        Raises:
            StoreError: a clip has no caption.
        """
        captions, mixing = caption_weights(store)
        vectors = self.encode(captions, progress)
        return Encoded(mixing @ vectors, captions, vectors)

    def encode(self, captions: Sequence[str], progress: Progress = silent) -> Float[np.ndarray, "captions dim"]:
        """Unit-length embeddings; captions beyond 256 tokens are cut. Batches go by length to save padding."""
        import torch

        order = sorted(range(len(captions)), key=lambda index: len(captions[index]))
        batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
        out = np.zeros((len(captions), self._model.config.hidden_size), np.float32)
        with torch.inference_mode():
            for batch in progress(batches, len(batches)):
                tokens = self._tokenizer(
                    [captions[index] for index in batch],
                    padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt",
                ).to(self._device)  # fmt: skip
                hidden = self._model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                mean = (hidden * mask).sum(1) / mask.sum(1)
                out[batch] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
        return out


def _resolve(weights: str | None) -> str:
    if weights is not None:
        return folder_or_id(weights, _EXPECTED)
    packaged = from_wheel("all_minilm_l6_v2", "model.zip", _FILES, SHA256)
    return str(packaged) if packaged else HUB_ID
