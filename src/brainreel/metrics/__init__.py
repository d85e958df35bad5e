"""Every metric as a pure function of arrays, with its definitions, its facts and the controls it needs.

`DEFINITIONS[metric][definition]` is one sentence; the first definition is the default. `FACTS` adds the
direction, unit, range and chance. Importing this loads numpy only: the rest comes with its first use.
The name `ssim` here is the function; its module is reached by `from brainreel.metrics.ssim import …`.
"""

from .ceilings import DEFINITIONS as _CEILINGS
from .ceilings import noise_ceiling
from .colour import DEFINITIONS as _COLOUR
from .colour import hue_correlation
from .consistency import DEFINITIONS as _CONSISTENCY
from .consistency import frame_consistency
from .distribution import DEFINITIONS as _DISTRIBUTION
from .distribution import frechet, kid
from .facts import FACTS, Fact
from .identification import DEFINITIONS as _IDENTIFICATION
from .identification import retrieval, two_way_identification
from .motion import DEFINITIONS as _MOTION
from .motion import aggregate_endpoint_error, direction_agreement, endpoint_error, zero_motion_error
from .motion_energy import DEFINITIONS as _MOTION_ENERGY
from .motion_energy import motion_energy_correlation, motion_energy_statistics
from .nway import DEFINITIONS as _NWAY
from .nway import n_way_accuracy, n_way_chance
from .pixels import DEFINITIONS as _PIXELS
from .pixels import aggregate_psnr, mse, pixel_correlation, psnr
from .similarity import DEFINITIONS as _SIMILARITY
from .similarity import clip_similarity
from .ssim import DEFINITIONS as _SSIM
from .ssim import ssim
from .vectors import DEFINITIONS as _VECTORS

DEFINITIONS: dict[str, dict[str, str]] = (
    _NWAY
    | _IDENTIFICATION
    | _SSIM
    | _PIXELS
    | _COLOUR
    | _MOTION
    | _MOTION_ENERGY
    | _SIMILARITY
    | _CONSISTENCY
    | _DISTRIBUTION
    | _VECTORS
    | _CEILINGS
)

__all__ = [
    "DEFINITIONS",
    "FACTS",
    "Fact",
    "aggregate_endpoint_error",
    "aggregate_psnr",
    "clip_similarity",
    "direction_agreement",
    "endpoint_error",
    "frame_consistency",
    "frechet",
    "hue_correlation",
    "kid",
    "motion_energy_correlation",
    "motion_energy_statistics",
    "mse",
    "n_way_accuracy",
    "n_way_chance",
    "noise_ceiling",
    "pixel_correlation",
    "psnr",
    "retrieval",
    "ssim",
    "two_way_identification",
    "zero_motion_error",
]
