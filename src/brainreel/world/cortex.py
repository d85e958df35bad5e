"""A simulated cortex that answers to what is on the screen, never to any network's features.

Tuning is a smooth function of a place's position. Everybody shares one such function (the functional
organisation); a person reads it at slightly displaced positions (topography), adds a little of their own, and
differs in gain and noise. Smooth random functions are random Fourier features of a squared-exponential
covariance (Rahimi & Recht 2007, eq. 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Field:
    """A smooth random function of position, each output with unit variance over draws."""

    frequencies: Float[np.ndarray, "waves dims"]
    phases: Float[np.ndarray, " waves"]
    weights: Float[np.ndarray, "waves outputs"]

    @classmethod
    def draw(cls, rng: np.random.Generator, *, dims: int, outputs: int, length: float, waves: int = 192) -> Field:
        """`length` is the distance, in units of position, over which the correlation falls to exp(-1/2)."""
        return cls(
            frequencies=rng.normal(scale=1 / length, size=(waves, dims)),
            phases=rng.uniform(0, 2 * np.pi, size=waves),
            weights=rng.normal(size=(waves, outputs)),
        )

    def __call__(self, position: Float[np.ndarray, "vertices dims"]) -> Float[np.ndarray, "vertices outputs"]:
        waves = np.cos(position @ self.frequencies.T + self.phases)
        return math.sqrt(2 / len(self.phases)) * waves @ self.weights


@runtime_checkable
class Tuning(Protocol):
    """What the tissue at a position prefers: its weight for every attribute, with a mean square of about 1."""

    def __call__(self, position: Float[np.ndarray, "vertices dims"]) -> Float[np.ndarray, "vertices attributes"]: ...


@dataclass(frozen=True)
class Physiology:
    """How alike people are and how noisy their recordings; the defaults give real movie data's ceilings.

    Attributes:
        tuning_length: Smoothness of the tuning, in units of position.
        displacement: Standard deviation of a person's topographic displacement, in units of position.
        displacement_length: Smoothness of that displacement.
        own_share: Share of the tuning's variance that is a person's own.
        signal_share: Share of a vertex's variance that the film drives, the median person.
        signal_spread: Standard deviation of the people's log odds of that share.
        noise_smooth_share: Share of the noise that neighbouring vertices have in common.
        noise_autocorrelation: Lag-one autocorrelation of the noise (per volume).
        drift_share: Share of the noise that is slow drift.
        beta_smooth_share, beta_drift_share: The same shares in an event design's betas, whose noise is otherwise
            independent between trials.
    """

    tuning_length: float = 6.0
    displacement: float = 1.5
    displacement_length: float = 8.0
    own_share: float = 0.2
    signal_share: float = 0.30
    signal_spread: float = 0.4
    noise_smooth_share: float = 0.6
    noise_autocorrelation: float = 0.6
    drift_share: float = 0.1
    beta_smooth_share: float = 0.0
    beta_drift_share: float = 0.0


@dataclass(frozen=True)
class Person:
    """What is one person's own: topography, tuning of their own, gain and the share of signal."""

    displacement: Field
    own: Field
    log_gain: Field
    noise: Field
    signal_share: float


@dataclass(frozen=True)
class Cortex:
    """The functional organisation that everybody shares, at the given positions (vertices, dims)."""

    position: Float[np.ndarray, "vertices dims"]
    shared: Tuning
    importance: Float[np.ndarray, " attributes"]
    physiology: Physiology

    @classmethod
    def grow(
        cls,
        position: Float[np.ndarray, "vertices dims"],
        importance: Float[np.ndarray, " attributes"],
        *,
        seed: int,
        physiology: Physiology | None = None,
    ) -> Cortex:
        """An organisation in which attribute j drives the tissue in proportion to `importance[j]`."""
        physiology = physiology or Physiology()
        rng = np.random.default_rng(seed)
        shared = Field.draw(rng, dims=position.shape[1], outputs=len(importance), length=physiology.tuning_length)
        return cls(position=position, shared=shared, importance=importance, physiology=physiology)

    def person(self, seed: int) -> Person:
        rng = np.random.default_rng(seed)
        p, dims = self.physiology, self.position.shape[1]
        odds = math.log(p.signal_share / (1 - p.signal_share)) + p.signal_spread * rng.normal()
        return Person(
            displacement=Field.draw(rng, dims=dims, outputs=dims, length=p.displacement_length),
            own=Field.draw(rng, dims=dims, outputs=len(self.importance), length=p.tuning_length),
            log_gain=Field.draw(rng, dims=dims, outputs=1, length=p.displacement_length),
            noise=Field.draw(rng, dims=dims, outputs=12, length=p.tuning_length),
            signal_share=1 / (1 + math.exp(-odds)),
        )

    def tuning(self, person: Person) -> Float[np.ndarray, "attributes vertices"]:
        """The person's response to each attribute at each vertex, before gain and noise."""
        p = self.physiology
        displaced = self.position + p.displacement * person.displacement(self.position)
        mixed = math.sqrt(1 - p.own_share) * self.shared(displaced)
        mixed = mixed + math.sqrt(p.own_share) * person.own(self.position)
        return (mixed * self.importance).T

    def bold(
        self,
        person: Person,
        design: Float[np.ndarray, "trs attributes"],
        *,
        tr_s: float,
        seed: int,
        shift_trs: int = 0,
    ) -> Float[np.ndarray, "trs vertices"]:
        """One uninterrupted scan, float32, arbitrary units.

        Args:
            person: Whose.
            design: What was on the screen in each volume; columns as in `importance`.
            tr_s: Seconds per volume.
            seed: Of the noise.
            shift_trs: Volume t holds what was recorded at t + shift_trs (releases shifted for the lag).
        """
        rng = np.random.default_rng(seed)
        p = self.physiology
        driven = haemodynamic(design - design.mean(0), tr_s=tr_s, shift_trs=shift_trs) @ self.tuning(person)
        n_trs, n_vertices = driven.shape
        smooth = autocorrelated(rng, n_trs, person.noise.weights.shape[1], p.noise_autocorrelation)
        smooth = smooth @ _unit(person.noise(self.position), axis=1).T
        local = autocorrelated(rng, n_trs, n_vertices, p.noise_autocorrelation)
        noise = _blend(_unit(local, axis=0), _unit(smooth, axis=0), p.noise_smooth_share)
        noise = _blend(noise, _unit(drift(rng, n_trs, n_vertices), axis=0), p.drift_share)
        return self._mix(person, driven, noise)

    def betas(
        self, person: Person, design: Float[np.ndarray, "trials attributes"], *, seed: int
    ) -> Float[np.ndarray, "trials vertices"]:
        """One response estimate per trial of an event design, in the order of the trials (which drift goes by)."""
        rng = np.random.default_rng(seed)
        p = self.physiology
        driven = (design - design.mean(0)) @ self.tuning(person)
        noise = rng.normal(size=driven.shape)
        if p.beta_smooth_share:
            smooth = rng.normal(size=(len(noise), person.noise.weights.shape[1]))
            smooth = smooth @ _unit(person.noise(self.position), axis=1).T
            noise = _blend(noise, _unit(smooth, axis=0), p.beta_smooth_share)
        if p.beta_drift_share:
            noise = _blend(noise, _unit(drift(rng, *noise.shape), axis=0), p.beta_drift_share)
        return self._mix(person, driven, noise)

    def _mix(self, person: Person, driven: np.ndarray, noise: np.ndarray) -> np.ndarray:
        # One scale for the tissue: vertices that care little about the film stay the noisier ones.
        signal = driven / max(float(driven.std()), 1e-12)
        share = person.signal_share
        mixed = math.sqrt(share) * signal + math.sqrt(1 - share) * noise
        return (mixed * np.exp(0.3 * person.log_gain(self.position))[:, 0]).astype(np.float32)


def seed_of(*parts: int) -> int:
    """One seed from several numbers, so that no two parts of a simulation share their noise."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def double_gamma(tr_s: float, *, length_s: float = 30.0) -> Float[np.ndarray, " lags"]:
    """The canonical haemodynamic response at multiples of `tr_s`, summing to 1 (Glover 1999; SPM's parameters:
    peak 6 s, undershoot 16 s, unit dispersion, ratio 1/6)."""
    t = np.arange(0, length_s, tr_s)
    response = _gamma_pdf(t, 6.0) - _gamma_pdf(t, 16.0) / 6.0
    return response / response.sum()


def haemodynamic(
    signal: Float[np.ndarray, "trs columns"], *, tr_s: float, shift_trs: int = 0
) -> Float[np.ndarray, "trs columns"]:
    """Every column convolved with the haemodynamic response; volume t holds the result at t + shift_trs."""
    kernel = double_gamma(tr_s)
    padded = np.concatenate([signal, np.zeros((shift_trs, signal.shape[1]))])
    out = np.zeros(padded.shape)
    for lag, weight in enumerate(kernel[: len(padded)]):
        out[lag:] += weight * padded[: len(padded) - lag]
    return out[shift_trs:]


def autocorrelated(
    rng: np.random.Generator, n_trs: int, n_columns: int, rho: float
) -> Float[np.ndarray, "trs columns"]:
    """Stationary AR(1) noise of unit variance: x[t] = rho·x[t-1] + sqrt(1-rho²)·e[t]."""
    out = rng.normal(size=(n_trs, n_columns))
    innovation = math.sqrt(1 - rho**2)
    for t in range(1, n_trs):
        out[t] = rho * out[t - 1] + innovation * out[t]
    return out


def drift(rng: np.random.Generator, n_trs: int, n_columns: int) -> Float[np.ndarray, "trs columns"]:
    """A slow wander per column: the first four cosines of the scan, weights falling with frequency."""
    k = np.arange(1, 5)
    cosines = np.cos(np.pi * k[None, :] * (np.arange(n_trs)[:, None] + 0.5) / n_trs)
    return cosines @ (rng.normal(size=(4, n_columns)) / k[:, None])


def _gamma_pdf(t: np.ndarray, shape: float) -> np.ndarray:
    return t ** (shape - 1) * np.exp(-t) / math.gamma(shape)


def _blend(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """A mixture in which `share` of the variance is the other's."""
    return math.sqrt(1 - share) * one + math.sqrt(share) * other


def _unit(x: np.ndarray, axis: int) -> np.ndarray:
    return x / np.maximum(np.sqrt((x**2).mean(axis, keepdims=True)), 1e-12)
