"""Prompt embeddings: what a text-to-video pipeline's text encoder makes of a clip's caption, and stage 2 regresses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from brainreel.encoders.captions import first_captions
from brainreel.encoders.protocol import Encoded, Progress, silent
from brainreel.encoders.weights import folder_or_id, loading, need_all, which_weights
from brainreel.errors import WeightsError
from brainreel.store.reader import Store

HUB_ID = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
# What WanPipeline pads its prompts to; a tokenizer that takes less decides itself.
TOKENS = 226
_BATCH = 8
_EXPECTED = "the hub id or the folder of a video pipeline with text_encoder (UMT5EncoderModel) and tokenizer"
_FILES = (
    "text_encoder/*.safetensors",
    "text_encoder/config.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/spiece.model",
)


class Prompt:
    """The last hidden states of a UMT5 encoder, zero past the sentence's end, as `WanPipeline` makes them.

    Args:
        weights: The hub id or the local folder of a pipeline; None takes Wan 2.1's.
        device: Where to compute.

    Raises:
        WeightsError: if there is no such pipeline.
    """

    name = "prompt"

    def __init__(self, weights: str | None = None, device: str = "cpu") -> None:
        # transformers is slow to import, and asking for an identity does not need it.
        import torch
        import transformers

        source = _resolve(weights)
        with loading("text encoder", source, _EXPECTED):
            config = transformers.AutoConfig.from_pretrained(source, subfolder="text_encoder")
            if config.model_type != "umt5":
                raise WeightsError(
                    f"the text encoder of {source} is of type {config.model_type!r}",
                    expected="'umt5', a UMT5EncoderModel",
                    do="give the pipeline that will make the videos",
                )
            model: Any = transformers.UMT5EncoderModel
            self._model, loaded = model.from_pretrained(
                source, subfolder="text_encoder", config=config, dtype=torch.float32, use_safetensors=True,
                output_loading_info=True,
            )  # fmt: skip
            self._tokenizer = _tokenizer(source)
        need_all("a UMT5EncoderModel", source, loaded["missing_keys"])
        self._model.eval().requires_grad_(False).to(device)
        self._device = device
        self.tokens = min(self._tokenizer.model_max_length, TOKENS)
        self.identity = self.identify(weights)

    @staticmethod
    def identify(weights: str | None) -> dict[str, Any]:
        """What makes these embeddings these: the checksums of local files, or the id on the hub."""
        return {
            "encoder": Prompt.name,
            "caption": "first",
            "max_tokens": TOKENS,
            **which_weights(_resolve(weights), _FILES),
        }

    def encode_store(self, store: Store, progress: Progress = silent) -> Encoded:
        """The first caption of every clip: (clips, tokens, dim).

        Raises:
            StoreError: a clip has no caption.
        """
        said = first_captions(store)
        distinct = list(dict.fromkeys(said))
        row = {caption: index for index, caption in enumerate(distinct)}
        vectors = self.encode(distinct, progress)
        return Encoded(vectors if distinct == said else vectors[[row[caption] for caption in said]])

    def encode(
        self, captions: Sequence[str], progress: Progress = silent
    ) -> Float32[np.ndarray, "captions tokens dim"]:
        """Prompt embeddings of captions, which are cut and padded to `tokens`."""
        import torch
        from diffusers.pipelines.wan.pipeline_wan import prompt_clean

        out = np.zeros((len(captions), self.tokens, self._model.config.d_model), np.float32)
        starts = range(0, len(captions), _BATCH)
        with torch.inference_mode():
            for start in progress(starts, len(starts)):
                tokens = self._tokenizer(
                    [prompt_clean(caption) for caption in captions[start : start + _BATCH]],
                    padding="max_length", max_length=self.tokens, truncation=True, return_tensors="pt",
                ).to(self._device)  # fmt: skip
                mask = tokens.attention_mask
                hidden = self._model(tokens.input_ids, mask).last_hidden_state
                # Selected, not multiplied: what a padded place holds must not matter, not even if it is infinite.
                out[start : start + _BATCH] = hidden.where(mask[..., None] > 0, 0.0).cpu().numpy()
        return out


def _tokenizer(source: str) -> Any:
    import transformers

    words = transformers.AutoTokenizer.from_pretrained(source, subfolder="tokenizer")
    # Without its vocabulary a tokenizer is built all the same, and every word is unknown to it.
    if len(words) <= len(words.all_special_tokens):
        raise OSError("the tokenizer has no vocabulary")
    return words


def _resolve(weights: str | None) -> str:
    source = folder_or_id(weights or HUB_ID, _EXPECTED)
    lacks = [name for name in ("text_encoder", "tokenizer") if not (Path(source) / name).is_dir()]
    if Path(source).is_dir() and lacks:
        raise WeightsError(f"{source} has no folder {lacks[0]!r}", expected=_EXPECTED, do="give the pipeline's folder")
    return source
