"""Frozen networks: what was shown → targets."""

from brainreel.encoders.encode import ENCODERS, encode

__all__ = ["ENCODERS", "encode"]
