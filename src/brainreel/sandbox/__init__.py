"""The embedded default: small networks trained on the simulated world, in the formats of the big ones."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""Where `brainreel.sandbox.train` writes `pipeline` (text-to-video, diffusers), `clip` and `classifier` (transformers)."""
