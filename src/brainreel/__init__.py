"""brainreel: reconstruct the video a person watched from their fMRI.

>>> import brainreel as br
>>> store = br.ingest("sherlock", "data/sherlock_kit", store="stores/sherlock")  # doctest: +SKIP
>>> br.encode([store], encoder="text-minilm")  # doctest: +SKIP
>>> model = br.Aligner(target="text-minilm").fit([store], folds="blocks-of-8", fold=0)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brainreel.align.aligner import Aligner
    from brainreel.encoders.encode import encode
    from brainreel.generate.registry import load_generator as Generator
    from brainreel.pipeline.stages import ingest
    from brainreel.regress.regressor import Regressor
    from brainreel.store.check import check
    from brainreel.store.reader import Store

__version__ = "0.1.0"
__all__ = ["Aligner", "Generator", "Regressor", "Store", "__version__", "check", "encode", "ingest"]

# Imported when first used: `import brainreel` itself loads neither torch nor numpy.
_WHERE = {
    "Aligner": "brainreel.align.aligner:Aligner",
    "Generator": "brainreel.generate.registry:load_generator",
    "Regressor": "brainreel.regress.regressor:Regressor",
    "Store": "brainreel.store.reader:Store",
    "check": "brainreel.store.check:check",
    "encode": "brainreel.encoders.encode:encode",
    "ingest": "brainreel.pipeline.stages:ingest",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        module, _, attribute = _WHERE[name].partition(":")
        value = getattr(importlib.import_module(module), attribute)
        globals()[name] = value
        return value
    if name in _modules():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'brainreel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_modules()})


def _modules() -> list[str]:
    """``brainreel.align`` and its neighbours, which need no import of their own."""
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
