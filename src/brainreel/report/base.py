"""The base of everything that a report holds: frozen data, strict about names, with unknown numbers as None."""

from __future__ import annotations

import math
from numbers import Real
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator

Direction = Literal["higher", "lower", "none"]
Role = Literal["model", "rival", "control", "ceiling"]


def _is_unknown(value: object) -> bool:
    # numpy's scalars are Real without being float.
    return value is None or (isinstance(value, Real) and math.isnan(float(value)))


def _nan_is_unknown(value: object) -> object:
    return None if _is_unknown(value) else value


def _interval_is_known(value: object) -> object:
    """An interval with an undefined end says nothing, so the whole of it is unknown."""
    return None if isinstance(value, list | tuple) and any(map(_is_unknown, value)) else value


def _interval_ascends(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and value[0] > value[1]:
        raise ValueError(f"got the interval {value}, expected its lower end first")
    return value


Number = Annotated[float | None, BeforeValidator(_nan_is_unknown)]
Interval = Annotated[tuple[float, float] | None, BeforeValidator(_interval_is_known)]


class Data(BaseModel):
    """Base of all that a report holds: frozen, strict about names, JSON both ways (infinity as a string)."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    @field_validator("ci95", check_fields=False)
    @classmethod
    def _ascending(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        return _interval_ascends(value)


class Section(Data):
    """Base of all sections: its heading, a sentence below it, its (shorter) name in the contents."""

    kind: str
    title: str
    intro: str = ""
    nav: str = ""
