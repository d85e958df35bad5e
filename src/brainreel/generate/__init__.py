"""Stage 3: conditions → video, through pre-trained video models. One file per family of models."""

from brainreel.generate.protocol import Generator, Mode, Videos

__all__ = ["Generator", "Mode", "Videos"]
