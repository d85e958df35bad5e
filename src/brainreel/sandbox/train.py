"""Rebuild the sandbox's networks: ``python -m brainreel.sandbox.train --work DIR``.

On two CPU cores some three hours. The parts need nothing from each other, but `tuned` goes on with `transformer`, so that
two processes can share them (``--parts``). `brainreel bench sandbox-networks` says how good the result is.
Every part resumes where it was interrupted, and a part that is finished is not trained again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

from brainreel.files import replace_folder, write_json
from brainreel.generate.wan_weights import SIZE_FILE, Size
from brainreel.progress import say
from brainreel.sandbox import WEIGHTS
from brainreel.sandbox.patches import fit_patches
from brainreel.sandbox.pool import CLIPS, Pool, pool
from brainreel.sandbox.train_autoencoder import STEPS as autoencoder_steps
from brainreel.sandbox.train_autoencoder import floor_db, psnr_db, train_autoencoder
from brainreel.sandbox.train_classifier import STEPS as classifier_steps
from brainreel.sandbox.train_classifier import train_classifier
from brainreel.sandbox.train_clip import STEPS as clip_steps
from brainreel.sandbox.train_clip import train_clip
from brainreel.sandbox.train_transformer import SHIFT, TARGET, train_transformer
from brainreel.sandbox.train_transformer import STEPS as transformer_steps
from brainreel.sandbox.tune import tune
from brainreel.sandbox.words import tokenizer
from brainreel.world.render import render
from brainreel.world.scenes import FPS, FRAMES, SIDE, draw_scenes

Part = Literal["autoencoder", "clip", "classifier", "transformer", "tuned"]
PARTS: tuple[Part, ...] = ("autoencoder", "clip", "classifier", "transformer", "tuned")


def main(
    work: Path,
    parts: tuple[Part, ...] = PARTS,
    out: Path = WEIGHTS,
    clips: int = CLIPS,
    steps: int | None = None,
) -> None:
    """Train what is not finished in ``work``, and write the weights in half precision to ``out``.

    Args:
        work: Folder for rendered clips, checkpoints and finished networks; about 4 GB.
        parts: Only these.
        out: Where the weights go once all parts are finished.
        clips: How many to render and train on.
        steps: Of every part, to try it out; default: each part's own.
    """
    if "tuned" in parts and "transformer" not in parts and not (work / "transformer").is_dir():
        raise SystemExit(f"{work / 'transformer'} is not there, and `tuned` goes on with it: train `transformer` first")
    rendered = pool(work, clips)
    for part in parts:
        if not (work / part).is_dir():
            say(f"training: {part}")
            _keep(work / part, _TRAIN[part](rendered, work, steps))
    if all((work / part).is_dir() for part in PARTS):
        assemble(work, out)
        say(f"weights: {out}")


def _autoencoder(clips: Pool, work: Path, steps: int | None) -> dict[str, Any]:
    patches = fit_patches(clips, work)
    model = train_autoencoder(clips, patches, work / "training-autoencoder", steps or autoencoder_steps)
    unseen = render(draw_scenes(min(128, len(clips.videos)), 1, combos="held-out"))
    say(
        f"autoencoder: {psnr_db(model, unseen):.2f} dB on held-out clips, linear patches {floor_db(patches, unseen):.2f} dB"
    )
    return {"vae": model}


def _clip(clips: Pool, work: Path, steps: int | None) -> dict[str, Any]:
    return {"model": train_clip(clips, work / "training-clip", steps or clip_steps), "tokenizer": tokenizer(start=True)}


def _classifier(clips: Pool, work: Path, steps: int | None) -> dict[str, Any]:
    return {"model": train_classifier(clips, work / "training-classifier", steps or classifier_steps)}


def _transformer(clips: Pool, work: Path, steps: int | None) -> dict[str, Any]:
    folder = work / "training-transformer"
    folder.mkdir(exist_ok=True)
    transformer, text_encoder = train_transformer(clips, fit_patches(clips, work), folder, steps or transformer_steps)
    return {"transformer": transformer, "text_encoder": text_encoder, "tokenizer": tokenizer(start=False)}


def _tuned(clips: Pool, work: Path, steps: int | None) -> dict[str, Any]:
    """The transformer, trained further on its own videos; begins with the part `transformer`."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from transformers import UMT5EncoderModel

    made = work / "transformer"
    begun = (
        WanTransformer3DModel.from_pretrained(made / "transformer"),
        UMT5EncoderModel.from_pretrained(made / "text_encoder"),
    )
    transformer, text_encoder = tune(clips, fit_patches(clips, work), begun, work / "training-tuned", steps)
    return {"transformer": transformer, "text_encoder": text_encoder, "tokenizer": tokenizer(start=False)}


_TRAIN: dict[Part, Callable[[Pool, Path, int | None], dict[str, Any]]] = {
    "autoencoder": _autoencoder,
    "clip": _clip,
    "classifier": _classifier,
    "transformer": _transformer,
    "tuned": _tuned,
}


def _keep(folder: Path, networks: dict[str, Any]) -> None:
    beside = folder.with_name(f".{folder.name}.partial")
    for name, network in networks.items():
        network.save_pretrained(beside / name)
    replace_folder(beside, folder)


def assemble(work: Path, out: Path) -> None:
    """The finished networks as a diffusers pipeline and two transformers models, in half precision."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
    from transformers import CLIPModel, UMT5EncoderModel, VideoMAEForVideoClassification

    made = work / "tuned"
    # WanPipeline's annotation names one scheduler; it takes, and is shipped with, this one.
    scheduler: Any = UniPCMultistepScheduler(prediction_type=TARGET, use_flow_sigmas=True, flow_shift=SHIFT)
    pipeline = WanPipeline(
        tokenizer=tokenizer(start=False),
        text_encoder=UMT5EncoderModel.from_pretrained(made / "text_encoder"),
        transformer=WanTransformer3DModel.from_pretrained(made / "transformer"),
        vae=AutoencoderKLWan.from_pretrained(work / "autoencoder" / "vae"),
        scheduler=scheduler,
    )
    pipeline.to(torch.float16).save_pretrained(out / "pipeline")
    write_json(out / "pipeline" / SIZE_FILE, Size(FRAMES, SIDE, SIDE, FPS)._asdict())
    clip = CLIPModel.from_pretrained(work / "clip" / "model")
    clip.half().save_pretrained(out / "clip")
    tokenizer(start=True).save_pretrained(out / "clip")
    classifier = VideoMAEForVideoClassification.from_pretrained(work / "classifier" / "model")
    classifier.half().save_pretrained(out / "classifier")
    for name in ("clip", "classifier"):
        (out / name / "preprocessor_config.json").write_text(json.dumps(_preparation(name), indent=2) + "\n")


def _preparation(name: str) -> dict[str, Any]:
    """Both networks take their pixels from -1 to 1."""
    kind = {"clip": "CLIPImageProcessor", "classifier": "VideoMAEImageProcessor"}[name]
    side = {"height": SIDE, "width": SIDE}
    half = [0.5, 0.5, 0.5]
    return {
        "image_processor_type": kind,
        "do_resize": True,
        "size": side,
        "resample": 3,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": half,
        "image_std": half,
    }


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
