"""Score anybody's reconstructions: folders of same-named videos or of frame folders, or .npy arrays. No model needed.

Several --recon are compared: paired differences over the same clips, tested and corrected. Reconstructions are
resampled to the truth's size and frame times, and the output says how. --out keeps metrics.json, per_clip.tsv and
the tables in Markdown and LaTeX.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import UseAppendAction, arg

from brainreel.cli.output import show, write_result
from brainreel.cli.parse import Device, DryRun, Json

EXAMPLE = "brainreel score --truth shown/ --recon ours/ --recon theirs/ --out scores"


def run(
    *,
    truth: Annotated[
        Path, arg(metavar="PATH", help="what was shown: a folder, or .npy (clips, frames, H, W, 3) uint8")
    ],
    recon: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="[NAME=]PATH", help="reconstructions of the same clips; once per method"),
    ],
    fps: Annotated[float | None, arg(metavar="F", help="frames per second of arrays and frame folders")] = None,
    recon_fps: Annotated[float | None, arg(metavar="F", help="of the reconstructions, if it differs")] = None,
    train: Annotated[
        Path | None, arg(metavar="PATH", help="training clips: two more null videos, and motion energy")
    ] = None,
    out: Annotated[Path | None, arg(metavar="DIR", help="write metrics.json, per_clip.tsv and the tables here")] = None,
    clip: Annotated[str | None, arg(metavar="ID_OR_DIR", help="a CLIP, for similarity and consistency")] = None,
    image_classifier: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="a ViT, for n-way accuracy of frames")
    ] = None,
    video_classifier: Annotated[
        str | None, arg(metavar="ID_OR_DIR", help="a VideoMAE, for n-way accuracy of clips")
    ] = None,
    seed: Annotated[int, arg(help="of the bootstrap, the tests and the wrong pairs")] = 0,
    device: Device = "cpu",
    dry_run: DryRun = False,
    json: Json = None,
) -> None:
    """Score them."""
    from brainreel.evaluate.score import estimate, open_all, score_sources
    from brainreel.evaluate.score_tables import markdown
    from brainreel.progress import say

    truths, recons, training = open_all(truth, recon, train=train, fps=fps, recon_fps=recon_fps)
    outlook = estimate(truths, recons, training)
    if dry_run:
        show(f"score {outlook}")
        write_result(json, {"estimate": outlook})
        return
    say(outlook)
    networks = _networks(clip, image_classifier, video_classifier, device)
    scored = score_sources(truths, recons, train=training, networks=networks, seed=seed)
    ignored = scored.document["controls"]["ignored"]
    if ignored:
        say(f"ignored, since they are no clips: {', '.join(ignored)}")
    show(markdown(scored.document).rstrip())
    show("\n".join(["", *_resampled(scored.document["resampling"])]))
    if out is not None:
        scored.write(out)
        show(f"\nwritten to {out}: metrics.json, per_clip.tsv, scores.md, scores.tex")
    write_result(json, scored.document)


def _networks(clip: str | None, image: str | None, video: str | None, device: str) -> dict:
    """The networks that were asked for; loading them takes torch, which scoring without them does not."""
    given = (("clip", "clip", clip), ("image_classifier", "vit", image), ("video_classifier", "videomae", video))
    wanted = [(use, kind, weights) for use, kind, weights in given if weights is not None]
    if not wanted:
        return {}
    from brainreel.encoders.visual import load_visual
    from brainreel.training.devices import pick_device

    where = str(pick_device(device))
    return {use: load_visual(kind, weights, where) for use, kind, weights in wanted}


def _resampled(groups: list[dict]) -> list[str]:
    """What was resampled, a line per method and group of clips."""
    return [
        f"{group['strategy']}: {group['clips']} clips; size: {group['spatial']}; time: {group['temporal']}"
        for group in groups
    ]
