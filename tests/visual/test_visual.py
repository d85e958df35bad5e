"""Visual encoders against the networks called by hand through transformers' own image processors."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from brainreel.encoders.visual import BATCH, FAMILIES, load_visual
from brainreel.encoders.visual_pixels import prepare, read_preparation
from brainreel.errors import UsageError, WeightsError

PROCESSORS = {
    "clip": ("clip", "CLIPImageProcessor"),
    "vit": ("vit", "ViTImageProcessor"),
    "videomae": ("videomae", "VideoMAEImageProcessor"),
}


def processor(kind, folder):
    """transformers' processor on Pillow and numpy, whatever this version calls it."""
    import transformers

    name = PROCESSORS[kind][1]
    found = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    return found.from_pretrained(folder)


def by_hand(kind, folder, clips):
    """Pixels per frame from transformers' own processor, and the model."""
    import torch
    import transformers

    frames = [frame for clip in clips for frame in clip]
    images = processor(kind, folder)
    if kind == "videomae":
        pixels = images([list(clip) for clip in clips], return_tensors="np")["pixel_values"]
        pixels = np.asarray(pixels).reshape(-1, *np.asarray(pixels).shape[2:])
    else:
        pixels = images(frames, return_tensors="np")["pixel_values"]
    model = getattr(transformers, FAMILIES[kind].model).from_pretrained(folder).eval()
    return torch.from_numpy(np.asarray(pixels)), model


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("shape", [(40, 52), (61, 33), (32, 32), (20, 90)])
def test_pixels_are_those_of_the_models_own_processor(kind, shape, tiny):
    frames = np.random.default_rng(1).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    steps = read_preparation(json.loads((tiny[kind] / "preprocessor_config.json").read_text()), square=kind == "vit")
    theirs, _ = by_hand(kind, tiny[kind], frames[None])
    ours = prepare(frames, steps)
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_clip_features_are_the_projected_embeddings_frame_by_frame(tiny, clips):
    import torch

    pixels, model = by_hand("clip", tiny["clip"], clips)
    with torch.no_grad():
        vision = model.vision_model(pixel_values=pixels).pooler_output
        expected = model.visual_projection(vision).numpy().reshape(5, 6, 12)
    found = load_visual("clip", str(tiny["clip"]), "cpu").features(clips)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_vit_answers_frame_by_frame(tiny, clips):
    import torch

    pixels, model = by_hand("vit", tiny["vit"], clips)
    with torch.no_grad():
        logits = model(pixel_values=pixels).logits.numpy().reshape(5, 6, 11)
    encoder = load_visual("vit", str(tiny["vit"]), "cpu")
    np.testing.assert_allclose(encoder.logits(clips), logits, atol=2e-5)
    features = encoder.features(clips)
    assert features.shape == (5, 6, 16)
    # The class token is what the classifier reads.
    rebuilt = features @ model.classifier.weight.detach().numpy().T + model.classifier.bias.detach().numpy()
    np.testing.assert_allclose(rebuilt, logits, atol=2e-5)
    assert encoder.labels == tuple(f"class {i}" for i in range(11))


@pytest.mark.parametrize(
    ("frames", "taken"), [(6, [0, 1, 3, 4]), (4, [0, 1, 2, 3]), (2, [0, 0, 1, 1]), (8, [0, 2, 4, 6])]
)
def test_videomae_takes_its_own_number_of_frames_nearest_in_time(frames, taken, tiny):
    import torch

    clips = np.random.default_rng(2).integers(0, 256, (3, frames, 40, 52, 3), dtype=np.uint8)
    pixels, model = by_hand("videomae", tiny["videomae"], clips[:, taken])
    with torch.no_grad():
        logits = model(pixel_values=pixels.reshape(3, 4, *pixels.shape[1:])).logits.numpy()
    encoder = load_visual("videomae", str(tiny["videomae"]), "cpu")
    np.testing.assert_allclose(encoder.logits(clips)[:, 0], logits, atol=2e-5)
    assert encoder.features(clips).shape == (3, 1, 16)
    assert encoder.identity["frames"] == 4


@pytest.mark.parametrize("kind", FAMILIES)
def test_answers_do_not_depend_on_batches_and_repeat_exactly(kind, tiny):
    many = np.random.default_rng(3).integers(0, 256, (BATCH + 3, 2, 32, 32, 3), dtype=np.uint8)
    encoder = load_visual(kind, str(tiny[kind]), "cpu")
    together = encoder.features(many)
    assert (together == encoder.features(many)).all()
    alone = np.concatenate([encoder.features(clip[None]) for clip in many])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_identity_changes_with_weights_and_preprocessing(tiny, tmp_path):
    from safetensors.numpy import load_file, save_file

    first = load_visual("vit", str(tiny["vit"]), "cpu").identity
    assert json.loads(json.dumps(first)) == first
    other = shutil.copytree(tiny["vit"], tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] + 1
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    assert load_visual("vit", str(other), "cpu").identity["sha256"] != first["sha256"]
    brighter = shutil.copytree(tiny["vit"], tmp_path / "brighter")
    config = json.loads((brighter / "preprocessor_config.json").read_text())
    (brighter / "preprocessor_config.json").write_text(json.dumps({**config, "image_mean": [0.4, 0.4, 0.4]}))
    found = load_visual("vit", str(brighter), "cpu").identity
    assert found["sha256"] == first["sha256"]
    assert found != first


def test_numbers_in_older_image_processors_are_read_as_they_were_meant():
    old = {"size": 224, "crop_size": 224, "image_mean": [0, 0, 0], "image_std": [1, 1, 1], "resample": 3}
    assert read_preparation(old, square=False)[:4] == (224, None, 3, (224, 224))
    assert read_preparation({**old, "do_center_crop": False}, square=True)[:4] == (None, (224, 224), 3, None)
    bare = read_preparation({"do_resize": False, "do_rescale": False, "do_normalize": False}, square=True)
    frames = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(prepare(frames, bare), frames.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("size", [{"longest_edge": 30, "shortest_edge": 20}, None, {"height": 3}])
def test_a_size_of_another_form_is_refused(size):
    with pytest.raises(WeightsError, match="size is"):
        read_preparation({"size": size, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}, square=True)


def rewritten(folder, to, name, **changes):
    shutil.copytree(folder, to)
    config = json.loads((to / name).read_text())
    (to / name).write_text(json.dumps({**config, **changes}))
    return str(to)


def test_what_cannot_be_loaded_is_said_in_a_sentence(tiny, tmp_path, clips):
    with pytest.raises(UsageError, match=r"no visual encoder 'dino' \(known: clip, vit, videomae\)"):
        load_visual("dino", "x", "cpu")
    with pytest.raises(WeightsError, match="is not a folder"):
        load_visual("clip", str(tmp_path / "nothing"), "cpu")
    with pytest.raises(WeightsError, match="no CLIPModel could be loaded from 'nobody/nothing'"):
        load_visual("clip", "nobody/nothing", "cpu")
    with pytest.raises(WeightsError, match="type 'clip'; expected 'vit', a ViTForImageClassification"):
        load_visual("vit", str(tiny["clip"]), "cpu")
    with pytest.raises(UsageError, match="'clip' has no logits"):
        load_visual("clip", str(tiny["clip"]), "cpu").logits(clips)
    with pytest.raises(UsageError, match="uint8"):
        load_visual("clip", str(tiny["clip"]), "cpu").features(clips / 255)


def test_pickled_and_incomplete_weights_are_refused(tiny, tmp_path):
    import torch
    from safetensors.numpy import load_file, save_file

    pickled = shutil.copytree(tiny["vit"], tmp_path / "pickled")
    weights = load_file(pickled / "model.safetensors")
    (pickled / "model.safetensors").unlink()
    torch.save({name: torch.from_numpy(value) for name, value in weights.items()}, pickled / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="pickled weights"):
        load_visual("vit", str(pickled), "cpu")
    headless = shutil.copytree(tiny["vit"], tmp_path / "headless")
    save_file(
        {k: v for k, v in weights.items() if "classifier" not in k}, headless / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(WeightsError, match=r"lacks 2 weights .* classifier.bias first"):
        load_visual("vit", str(headless), "cpu")
    broken = shutil.copytree(tiny["vit"], tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="could be loaded"):
        load_visual("vit", str(broken), "cpu")


def test_an_image_processor_that_does_not_fit_is_refused(tiny, tmp_path):
    name = "preprocessor_config.json"
    small = rewritten(tiny["clip"], tmp_path / "a", name, crop_size={"height": 16, "width": 16})
    with pytest.raises(WeightsError, match="gives 16×16 pixels; expected 32×32"):
        load_visual("clip", small, "cpu")
    large = rewritten(tiny["clip"], tmp_path / "b", name, crop_size={"height": 48, "width": 48})
    with pytest.raises(WeightsError, match="crops 48×48 pixels from 32×32"):
        load_visual("clip", large, "cpu")
    (tmp_path / "a" / name).unlink()
    with pytest.raises(WeightsError, match="preprocessor_config"):
        load_visual("clip", small, "cpu")
