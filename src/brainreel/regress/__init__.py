"""Stage 2: embedding → the conditions that a video model takes."""

from brainreel.regress.conditions import Conditions

__all__ = ["Conditions"]
