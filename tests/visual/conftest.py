"""Tiny real models of the published classes, with random weights, saved as the hub serves them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

SIZE, PATCH, CLASSES = 32, 8, 11
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # The variable is read once, when the package is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> dict[str, Path]:
    """kind → folder."""
    import torch
    from transformers import (
        CLIPConfig,
        CLIPModel,
        VideoMAEConfig,
        VideoMAEForVideoClassification,
        ViTConfig,
        ViTForImageClassification,
    )

    torch.manual_seed(0)
    vision = {**SMALL, "image_size": SIZE, "patch_size": PATCH}
    text = {**SMALL, "vocab_size": 50, "max_position_embeddings": 8}
    classes = {"id2label": {i: f"class {i}" for i in range(CLASSES)}}
    models = {
        "clip": CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=12)),
        "vit": ViTForImageClassification(ViTConfig(**vision, **classes)),
        "videomae": VideoMAEForVideoClassification(VideoMAEConfig(**vision, num_frames=4, tubelet_size=2, **classes)),
    }
    edge = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}, "do_center_crop": True}
    square = {"size": {"height": SIZE, "width": SIZE}}
    common = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    configs = {
        "clip": {**edge, "resample": 3, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]},
        "vit": {**square, "resample": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
        "videomae": {**edge, "resample": 2, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    }
    folders = {}
    for kind, model in models.items():
        folders[kind] = tmp_path_factory.mktemp(kind)
        model.save_pretrained(folders[kind])
        (folders[kind] / "preprocessor_config.json").write_text(json.dumps({**common, **configs[kind]}))
    return folders


@pytest.fixture(scope="session")
def clips() -> np.ndarray:
    """Five clips of 6 frames, wider than high."""
    return np.random.default_rng(0).integers(0, 256, (5, 6, 40, 52, 3), dtype=np.uint8)
