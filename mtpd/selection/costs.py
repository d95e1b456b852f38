"""Adaptation cost: how well a linear map turns one detector's features into another's.

The map is a 1×1 convolution W, b per level, fitted by ridge regression on one half of the images
and judged on the other, and then the other way round, so that every image judges once. Both need
only moments of the sampled features, so that no pair has to be trained. The normalisation, the
closed form, the sampling and the intervals are this project's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mtpd.errors import UserError

Features = Mapping[int, np.ndarray]
"""Stride → features of shape (images, points, channels), of the same images and points."""

Interval = tuple[float, float]

LevelCosts = Mapping[str, Mapping[str, Mapping[int, "LevelCost"]]]
"""``[source][target][stride]``."""

# Measured on real images with four trained RetinaNets of 64 and 256 channels. With 128 images of
# 16 points, 1e-2 comes nearest to the costs found with 23 times as many samples: 0.03 off on
# average, and Kendall's τ between the two rankings of the pairs is 0.99. With 1e-6, plain least
# squares, it is 0.09 off and τ 0.93, and the costs of 256 channels from 256 samples exceed 6.
DEFAULT_RIDGE = 1e-2

RESAMPLES = 2000
CONFIDENCE = 0.95

# Below this standard deviation relative to the features' magnitude there is only rounding noise.
_CONSTANT = 1e-12


@dataclass(frozen=True, eq=False)
class LevelCost:
    """How far a linear map falls short of the target's features at one level.

    Attributes:
        errors: (images,), E‖F_B − (W F_A + b)‖² of every image, summed over channels; W and b are
            those of the half of the images that the image is not in.
        variances: (images,), E‖F_B − E F_B‖² of every image, the mean being that of the same
            half: the error of the best map that sees nothing of A. Zeros where B's features are
            constant.
    """

    errors: np.ndarray
    variances: np.ndarray

    @property
    def error(self) -> float:
        """Mean squared error over all images."""
        return float(self.errors.mean())

    @property
    def normalised(self) -> float:
        """Share of the target's variance that the map misses, 1 − R².

        In [0, 1] up to sampling: a map that does worse on the held-out images than a constant
        costs more than 1 and is not clipped, as it tells that the samples are too few. A constant
        target costs 0, since b alone gives it.
        """
        variance = float(self.variances.mean())
        return self.error / variance if variance > 0 else 0.0

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        """:attr:`normalised` of other draws of the images.

        Args:
            weights: (draws, images), how often every image was drawn.

        Returns:
            (draws,).
        """
        errors, variances = weights @ self.errors, weights @ self.variances
        return np.divide(errors, variances, out=np.zeros_like(errors), where=variances > 0)


def level_costs(
    features: Mapping[str, Features], *, ridge: float = DEFAULT_RIDGE
) -> dict[str, dict[str, dict[int, LevelCost]]]:
    """Costs of all ordered pairs of detectors at every level that both have.

    Args:
        features: Detector's name → its features. Images at even places are one half, those at
            odd places the other.
        ridge: Ridge relative to the mean variance of A's channels, so that the normalised cost
            depends neither on the scale of A's features nor on that of B's.

    Returns:
        ``costs[source][target][stride]``, finest level first.

    Raises:
        UserError: Detectors share no stride, or differ in images or points; features are not
            finite or of another shape; the ridge is not positive.
    """
    _check_ridge(ridge)
    _check_features(features)
    costs: dict[str, dict[str, dict[int, LevelCost]]] = {
        source: {target: {} for target in features if target != source} for source in features
    }
    for stride in sorted({stride for levels in features.values() for stride in levels}):
        level = {
            name: [_split(levels[stride], start, ridge) for start in (0, 1)]
            for name, levels in features.items()
            if stride in levels
        }
        for one, other in combinations(level, 2):
            costs[one][other][stride], costs[other][one][stride] = _pair(level[one], level[other])
    return costs


def common_strides(features: Mapping[str, Features]) -> tuple[int, ...]:
    """Strides that all detectors have, finest first: those that a comparison of costs averages.

    Raises:
        UserError: There is none.
    """
    common = set.intersection(*(set(levels) for levels in features.values()))
    if not common:
        having = "; ".join(
            f"{name} {', '.join(map(str, sorted(levels)))}" for name, levels in features.items()
        )
        raise UserError(
            "features",
            f"no stride is common to all detectors ({having})",
            "leave out those that share none with the others, or change their necks",
        )
    return tuple(sorted(common))


def cost_matrix(
    features: Mapping[str, Features], *, ridge: float = DEFAULT_RIDGE, normalise: bool = True
) -> dict[str, dict[str, float]]:
    """Adaptation costs of all ordered pairs, each the mean over :func:`common_strides`.

    Args:
        features: As for :func:`level_costs`.
        ridge: As for :func:`level_costs`.
        normalise: Whether errors are relative to the target's variance (1 − R²) or in the squared
            units of its features.

    Returns:
        ``costs[source][target]``.

    Raises:
        UserError: As for :func:`level_costs`.
    """
    return mean_costs(
        level_costs(features, ridge=ridge), common_strides(features), normalise=normalise
    )


def mean_costs(
    levels: LevelCosts, strides: tuple[int, ...], *, normalise: bool = True
) -> dict[str, dict[str, float]]:
    """``[source][target]``, the mean over ``strides`` of every pair."""

    def mean(pair: Mapping[int, LevelCost]) -> float:
        chosen = [pair[stride] for stride in strides]
        values = [level.normalised if normalise else level.error for level in chosen]
        return sum(values) / len(values)

    return {
        source: {target: mean(pair) for target, pair in row.items()}
        for source, row in levels.items()
    }


def cost_intervals(
    levels: LevelCosts, strides: tuple[int, ...], seed: int
) -> dict[str, dict[str, Interval]]:
    """95 % intervals of the normalised :func:`mean_costs`, by bootstrap over the images.

    The maps stay as they are fitted; the images that judge them are drawn anew, the same for all
    pairs. ``seed`` decides the draws.

    Returns:
        ``[source][target]``, lower and upper end.
    """
    pairs = [pair for row in levels.values() for pair in row.values()]
    if not pairs:
        return {source: {} for source in levels}
    images = len(pairs[0][strides[0]].errors)
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(float)

    def interval(pair: Mapping[int, LevelCost]) -> Interval:
        draws = np.mean([pair[stride].resampled(weights) for stride in strides], axis=0)
        outside = 50 * (1 - CONFIDENCE)
        low, high = np.percentile(draws, [outside, 100 - outside])
        return float(low), float(high)

    return {
        source: {target: interval(pair) for target, pair in row.items()}
        for source, row in levels.items()
    }


def adaptation_cost(
    source: Features, target: Features, *, ridge: float = DEFAULT_RIDGE, normalise: bool = True
) -> float:
    """C(source → target) of one pair; see :func:`cost_matrix`."""
    costs = cost_matrix({"source": source, "target": target}, ridge=ridge, normalise=normalise)
    return costs["source"]["target"]


@dataclass(frozen=True)
class _Split:
    """What one level of one detector brings to every pair, with one half of the images to fit on.

    Attributes:
        fit: (N_fit, C), centred.
        held_out: (images held out, points, C), less the means of ``fit``.
        start: Place of the first image held out; every second from there on is.
        inverse: (C, C), inverse of the covariance of ``fit`` with the ridge added; zero for
            constant features, which tell nothing about others.
        is_constant: Whether the features held out do not differ from the means of ``fit``.
    """

    fit: np.ndarray
    held_out: np.ndarray
    start: int
    inverse: np.ndarray
    is_constant: bool


def _split(features: np.ndarray, start: int, ridge: float) -> _Split:
    """Fit on every second image from ``start`` on, hold out the others."""
    channels = features.shape[2]
    fit = features[start::2].reshape(-1, channels).astype(np.float64)
    held_out = features[1 - start :: 2].astype(np.float64)
    means = fit.mean(axis=0)
    fit -= means
    held_out -= means
    noise = _CONSTANT**2 * float(means @ means)
    covariance = fit.T @ fit / len(fit)
    spread = float(np.trace(covariance))
    if spread > noise:
        covariance.flat[:: channels + 1] += ridge * spread / channels
        inverse = np.linalg.inv(covariance)
    else:
        inverse = np.zeros((channels, channels))
    variance = float(np.square(held_out).sum(axis=2).mean())
    return _Split(fit, held_out, 1 - start, inverse, variance <= noise)


def _pair(one: list[_Split], other: list[_Split]) -> tuple[LevelCost, LevelCost]:
    """Costs from ``one`` to ``other`` and back."""
    cross = [a.fit.T @ b.fit / len(a.fit) for a, b in zip(one, other, strict=True)]
    back = [moments.T for moments in cross]
    return _cost(one, other, cross), _cost(other, one, back)


def _cost(source: list[_Split], target: list[_Split], cross: list[np.ndarray]) -> LevelCost:
    """Cost from the (source channels, target channels) cross moments of both halves."""
    images = sum(len(split.held_out) for split in target)
    errors, variances = np.zeros(images), np.zeros(images)
    for a, b, moments in zip(source, target, cross, strict=True):
        if b.is_constant:
            continue
        missed = b.held_out - a.held_out @ (a.inverse @ moments)
        errors[b.start :: 2] = np.square(missed).sum(axis=2).mean(axis=1)
        variances[b.start :: 2] = np.square(b.held_out).sum(axis=2).mean(axis=1)
    return LevelCost(errors, variances)


def _check_ridge(ridge: float) -> None:
    if not (ridge > 0 and np.isfinite(ridge)):
        raise UserError("ridge", f"is {ridge}", f"give a positive number, such as {DEFAULT_RIDGE}")


def _check_features(features: Mapping[str, Features]) -> None:
    """Every level is an array of finite values of the same images and points; all meet."""
    samples = {
        f"features of {name}, stride {stride}": values
        for name, levels in features.items()
        for stride, values in levels.items()
    }
    for place, values in samples.items():
        _check_level(place, values)
    sizes = {place: f"{len(values)}×{values.shape[1]}" for place, values in samples.items()}
    for place, size in sizes.items():
        first = next(iter(sizes))
        if size != sizes[first]:
            raise UserError(
                place,
                f"images×points are {size}, but {sizes[first]} in {first}",
                "sample every detector at the same points of the same images",
            )
    if features:
        common_strides(features)


def _check_level(place: str, values: np.ndarray) -> None:
    if values.ndim != 3 or values.size == 0 or len(values) < 2:
        raise UserError(
            place,
            f"has the shape {values.shape}",
            "give (images, points, channels) with two images or more",
        )
    if not np.isfinite(values).all():
        raise UserError(
            place, "has values that are not finite", "check the detector's weights and training"
        )
