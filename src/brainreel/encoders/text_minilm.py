"""Sentence embeddings of captions: all-MiniLM-L6-v2 (Reimers & Gurevych 2019, sbert.net), 384 numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from brainreel.encoders.weights import from_wheel
from brainreel.errors import WeightsError
from brainreel.files import sha256

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256
_FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_BATCH = 64


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
        level = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(source)
            self._model = transformers.AutoModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
            # Without its vocabulary a tokenizer is built all the same, and every word is unknown to it.
            if len(self._tokenizer) <= len(self._tokenizer.all_special_tokens):
                raise OSError("the tokenizer has no vocabulary")
        except Exception as error:  # Broken files end in whatever tokenizers, safetensors or json raise.
            raise WeightsError(
                f"no sentence encoder could be loaded from {source!r} ({(str(error).splitlines() or [repr(error)])[0]})",
                expected="a hub id, or a folder with config.json, tokenizer.json and model.safetensors",
                do=f"give --weights a local folder{offline}",
            ) from error
        finally:
            transformers.logging.set_verbosity(level)
        self._model.eval().requires_grad_(False).to(device)
        self._device = device
        self.identity = identify(weights)

    def encode(
        self, captions: Sequence[str], progress: Callable[[Sequence[Any]], Any] = iter
    ) -> Float[np.ndarray, "captions dim"]:
        """Unit-length embeddings; captions beyond 256 tokens are cut. Batches go by length to save padding."""
        import torch

        order = sorted(range(len(captions)), key=lambda index: len(captions[index]))
        batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
        out = np.zeros((len(captions), self._model.config.hidden_size), np.float32)
        with torch.inference_mode():
            for batch in progress(batches):
                tokens = self._tokenizer(
                    [captions[index] for index in batch],
                    padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt",
                ).to(self._device)  # fmt: skip
                hidden = self._model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                mean = (hidden * mask).sum(1) / mask.sum(1)
                out[batch] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
        return out


def identify(weights: str | None) -> dict[str, Any]:
    """What makes these embeddings these: the checksums of local files, or the id on the hub."""
    source = Path(_resolve(weights))
    files = [source / name for name in ("model.safetensors", "config.json", "tokenizer.json", "vocab.txt")]
    local = {file.name: sha256(file) for file in files if file.is_file()}
    which = {"sha256": local} if "model.safetensors" in local else {"hub": str(source)}
    return {"encoder": TextMiniLM.name, "pooling": "mean, unit length", "max_tokens": MAX_TOKENS, **which}


def _resolve(weights: str | None) -> str:
    if weights is not None:
        if (weights.startswith((".", "/", "~")) or Path(weights).exists()) and not Path(weights).expanduser().is_dir():
            raise WeightsError(f"{weights} is not a folder", expected="a folder with config.json and model.safetensors")
        folder = Path(weights).expanduser()
        return str(folder) if folder.is_dir() else weights
    packaged = from_wheel("all_minilm_l6_v2", "model.zip", _FILES, SHA256)
    return str(packaged) if packaged else HUB_ID
