"""Weights of the Wan family on disk or on the hub: what they are, what size of video they make, how they load."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from brainreel.errors import WeightsError
from brainreel.files import sha256, walk

SIZE_FILE = "video.json"
_EXPECTED = "a hub id, or a folder with model_index.json, transformer, vae, text_encoder, tokenizer and scheduler"


class Size(NamedTuple):
    """The videos that a model was made for; fps in frames per second.

    The defaults are Wan 2.1's. A folder states others in ``video.json``, with these four keys.
    """

    frames: int = 81
    height: int = 480
    width: int = 832
    fps: float = 16.0


def resolve(weights: str | Path) -> str:
    """A folder's path or a hub id.

    Raises:
        WeightsError: if it looks like a path and is no folder.
    """
    text, folder = str(weights), Path(weights).expanduser()
    if folder.is_dir():
        return str(folder)
    if isinstance(weights, Path) or text.startswith((".", "/", "~")) or text.count("/") > 1 or folder.exists():
        raise WeightsError(f"{weights} is not a folder", expected=_EXPECTED, do="check the path")
    return text


def identify(weights: str | Path, dtype: str) -> dict[str, Any]:
    """What makes these videos these, without loading anything: checksums of local files, or id and cached revision."""
    source = resolve(weights)
    if Path(source).is_dir():
        kept = {".safetensors", ".json", ".model"}
        files = [path for path in walk(Path(source)) if path.suffix in kept]
        which: dict[str, Any] = {"sha256": {p.relative_to(source).as_posix(): sha256(p) for p in files}}
    else:
        there = cached(source)
        which = {"hub": source, "revision": there.name if there else None}
    return {"generator": "wan", "dtype": dtype, **which}


def cached(hub_id: str) -> Path | None:
    """Where the hub's files lie on this machine; None if they have not been fetched."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, "model_index.json")
    return Path(found).parent if isinstance(found, str) else None


def read_size(weights: str | Path) -> Size | None:
    """What a folder's ``video.json`` says; None where there is none."""
    path = Path(resolve(weights)) / SIZE_FILE
    if not path.is_file():
        return None
    try:
        return Size(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} cannot be read ({error})", expected="the keys frames, height, width and fps"
        ) from error


def count_parameters(weights: str | Path) -> dict[str, float]:
    """How many parameters each network has, from the heads of its files; empty if they are not on this machine."""
    from safetensors import SafetensorError, safe_open

    source = resolve(weights)
    folder = Path(source) if Path(source).is_dir() else cached(source)
    counts: dict[str, float] = {}
    try:
        for path in sorted(folder.glob("*/*.safetensors")) if folder else ():
            with safe_open(path, framework="numpy") as file:
                shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  not a dict
            counts[path.parent.name] = counts.get(path.parent.name, 0.0) + sum(math.prod(shape) for shape in shapes)
    except (OSError, SafetensorError) as error:
        raise unreadable(source, error) from error
    return counts


def load_pipeline(weights: str | Path, device: str, dtype: str) -> Any:
    """A `WanPipeline` on a device; the autoencoder always in float32, as Wan's authors decode.

    Raises:
        WeightsError: nothing of that kind there, damaged, not complete, or without safetensors.
    """
    import diffusers
    import torch
    import transformers
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline

    source, wanted = resolve(weights), getattr(torch, dtype)
    with _quiet(transformers, diffusers):
        try:
            # Apart from the rest: transformers puts random numbers in the place of missing weights, and says so only here.
            found: Any = transformers.UMT5EncoderModel.from_pretrained(
                source, subfolder="text_encoder", dtype=wanted, use_safetensors=True, output_loading_info=True
            )
            text_encoder, loaded = found
            if absent := sorted(loaded["missing_keys"]):
                raise OSError(f"the text encoder lacks {absent[0]}")
            pipeline = WanPipeline.from_pretrained(
                source,
                text_encoder=text_encoder,
                dtype={"default": wanted, "vae": torch.float32},
                use_safetensors=True,
            )
            _refuse_absent(pipeline)
        except Exception as error:  # Broken files end in whatever diffusers, safetensors or json raise.
            raise unreadable(source, error) from error
    _check_schedule(source, pipeline.scheduler)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def unreadable(source: str, error: Exception) -> WeightsError:
    """One sentence about weights that cannot be loaded."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return WeightsError(
        f"no Wan pipeline could be loaded from {source!r} ({reason})",
        expected=_EXPECTED,
        do="check the id and the connection, or give a whole local folder; pickled weights (.bin) are not read",
    )


def _refuse_absent(pipeline: Any) -> None:
    """diffusers leaves weights that the files lack without any numbers, and only logs it."""
    for part in ("transformer", "transformer_2", "vae"):
        module = getattr(pipeline, part)
        for name, value in module.named_parameters() if module is not None else ():
            if value.is_meta:
                raise OSError(f"the {part} lacks {name}")


def _check_schedule(source: str, scheduler: Any) -> None:
    flow = type(scheduler).__name__.startswith("FlowMatch") or scheduler.config.get("use_flow_sigmas", False)
    if not flow or scheduler.order != 1:
        raise WeightsError(
            f"the scheduler of {source!r} is no flow matching one ({type(scheduler).__name__})",
            expected="noise levels from 1 down to 0, one network pass a step",
            do="save the pipeline with FlowMatchEulerDiscreteScheduler, or UniPC with flow sigmas",
        )


@contextlib.contextmanager
def _quiet(*libraries: Any) -> Iterator[None]:
    logs = [library.utils.logging for library in libraries]
    levels = [log.get_verbosity() for log in logs]
    for log in logs:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.set_verbosity(level)
