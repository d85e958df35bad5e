"""The command with tiny networks of the published classes, saved as a hub serves them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from brainreel.cli.main import main

from .clips import moving, noisy, rows_of

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
EDGE = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True, "resample": 3}
STEPS = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
COLOURS = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    import torch
    from transformers import CLIPConfig, CLIPModel, VideoMAEConfig, VideoMAEForVideoClassification

    torch.manual_seed(0)
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    text = {**SMALL, "vocab_size": 50, "max_position_embeddings": 8}
    classes = {index: f"class {index}" for index in range(20)}
    models = {
        "clip": CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=12)),
        "video": VideoMAEForVideoClassification(
            VideoMAEConfig(**vision, num_frames=4, tubelet_size=2, id2label=classes)
        ),
    }
    root = tmp_path_factory.mktemp("networks")
    for name, model in models.items():
        model.save_pretrained(root / name)
        (root / name / "preprocessor_config.json").write_text(json.dumps({**EDGE, **STEPS, **COLOURS}))
    return root


def test_rows_of_the_networks_that_were_given(networks, tmp_path):
    truth = moving(3)
    np.save(tmp_path / "shown.npy", truth)
    np.save(tmp_path / "same.npy", truth)
    np.save(tmp_path / "noisy.npy", noisy(truth, 80))
    recons = ["--recon", f"{tmp_path}/same.npy", "--recon", f"{tmp_path}/noisy.npy"]
    given = ["--clip", f"{networks}/clip", "--video-classifier", f"{networks}/video"]
    out = ["--json", f"{tmp_path}/scores.json"]
    assert main(["score", "--truth", f"{tmp_path}/shown.npy", *recons, *given, *out]) == 0
    document = json.loads((tmp_path / "scores.json").read_text())
    same, worse = rows_of(document, "same"), rows_of(document, "noisy")
    assert same["clip_similarity", "frame-mean"]["value"] == pytest.approx(1, abs=1e-5)
    assert worse["clip_similarity", "frame-mean"]["value"] < 1 - 1e-4
    assert same["n_way_accuracy", "exact"]["value"] == 1
    assert same["n_way_accuracy", "exact"]["encoder"]
    assert {row["ways"] for row in document["scores"] if "ways" in row} == {2, 10}


def test_weights_that_are_not_there_are_one_sentence(tmp_path, capsys):
    np.save(tmp_path / "shown.npy", moving(1))
    arguments = ["--truth", f"{tmp_path}/shown.npy", "--recon", f"{tmp_path}/shown.npy"]
    (tmp_path / "empty").mkdir()
    assert main(["score", *arguments, "--clip", f"{tmp_path}/empty"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("brainreel: ")
