"""Time of the adaptation costs: closed form against a 1×1 convolution trained for every pair.

    python benchmarks/costs.py [--detectors N] [--channels N] [--images N] [--points N] [--json]

One thread. The features are synthetic: what detectors share and what is their own are both
Gaussian, with variances that fall like k^-1.5 over the principal components, about as those of
trained FPNs. The closed form takes the same time whatever the values are; how long a training
takes depends on them. The training is the quickest that we know for so small a problem (L-BFGS on
all samples at once in float32, until a hundred iterations improve the loss by less than 0.1%). It
is measured for one ordered pair at all levels and multiplied by the number of ordered pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mtpd.selection.costs import DEFAULT_RIDGE, Features, adaptation_cost, cost_matrix

STRIDES = (8, 16, 32, 64, 128)


def main() -> None:
    """Measure and print."""
    options = _options()
    _use_one_thread()
    features = make_features(options.detectors, options.channels, options.images, options.points)
    pairs = options.detectors * (options.detectors - 1)
    matrix_seconds = _least_seconds(lambda: cost_matrix(features), repeats=5)
    source, target = list(features.values())[:2]
    pair_seconds = _least_seconds(lambda: adaptation_cost(source, target), repeats=5)
    start = time.perf_counter()
    trained = float(np.mean([train_convolution(source[s], target[s]) for s in STRIDES]))
    training_seconds = time.perf_counter() - start
    figures = {
        "detectors": options.detectors,
        "channels": options.channels,
        "levels": len(STRIDES),
        "images": options.images,
        "points_per_level": options.points,
        "ordered_pairs": pairs,
        "closed_form_all_pairs_seconds": matrix_seconds,
        "closed_form_both_directions_of_one_pair_seconds": pair_seconds,
        "training_one_ordered_pair_seconds": training_seconds,
        "training_all_pairs_extrapolated_seconds": training_seconds * pairs,
        "closed_form_cost_of_one_pair": adaptation_cost(source, target),
        "trained_cost_of_one_pair": trained,
    }
    if options.json:
        print(json.dumps(figures, indent=2))  # noqa: T201
    else:
        _show(figures)


def make_features(detectors: int, channels: int, images: int, points: int) -> dict[str, Features]:
    """Detector's name → stride → float32 features (images, points, channels)."""
    generator = np.random.default_rng(0)
    deviations = np.arange(1, channels + 1) ** -0.75
    features: dict[str, dict[int, np.ndarray]] = {f"detector_{i}": {} for i in range(detectors)}
    for stride in STRIDES:
        shared = generator.normal(size=(images, points, channels)) * deviations
        for levels in features.values():
            own = generator.normal(size=(images, points, channels)) * deviations
            mixing, _ = np.linalg.qr(generator.normal(size=(channels, channels)))
            levels[stride] = ((shared + 0.5 * own) @ mixing).astype(np.float32)
    return features


def train_convolution(source: np.ndarray, target: np.ndarray) -> float:
    """Normalised cost on each half of the images after training on the other."""
    turns = [_train_on(source, target, start) for start in (0, 1)]
    return sum(error for error, _ in turns) / sum(variance for _, variance in turns)


def _train_on(source: np.ndarray, target: np.ndarray, start: int) -> tuple[float, float]:
    """Error and variance on one half after training on every second image from ``start`` on."""
    x, y = (torch.from_numpy(features) for features in (source, target))
    x, y = (torch.cat((f[start::2], f[1 - start :: 2])) for f in (x, y))
    half = len(source[start::2])
    # On sampled points a 1×1 convolution is a linear layer.
    convolution = torch.nn.Linear(x.shape[2], y.shape[2])
    optimizer = torch.optim.LBFGS(
        convolution.parameters(), max_iter=100, line_search_fn="strong_wolfe"
    )
    mean = y[:half].mean((0, 1))
    variance = (y[:half] - mean).square().sum(2).mean()
    penalty = DEFAULT_RIDGE * x[:half].var((0, 1), correction=0).mean() / variance

    def loss() -> torch.Tensor:
        error = (y[:half] - convolution(x[:half])).square().sum(2).mean()
        return error / variance + penalty * convolution.weight.square().sum()

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    before, now = float("inf"), loss().item()
    while now < 0.999 * before:
        optimizer.step(step)
        before, now = now, loss().item()
    with torch.no_grad():
        error = (y[half:] - convolution(x[half:])).square().sum(2).mean()
        return float(error), float((y[half:] - mean).square().sum(2).mean())


def _use_one_thread() -> None:
    """Start this program again if need be: libraries read their number of threads on import."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if not one.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | one)


def _least_seconds(work: Callable[[], Any], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _show(figures: dict[str, Any]) -> None:
    title = (
        "{detectors} detectors, {channels} channels, {levels} levels,"
        " {images} images × {points_per_level} points, one thread"
    )
    rows = [
        (
            "one pair",
            "{closed_form_both_directions_of_one_pair_seconds:.3f} s (both directions)",
            "{training_one_ordered_pair_seconds:.1f} s (one direction)",
        ),
        (
            "{ordered_pairs} ordered pairs",
            "{closed_form_all_pairs_seconds:.2f} s",
            "{training_all_pairs_extrapolated_seconds:.0f} s (extrapolated)",
        ),
        ("cost found", "{closed_form_cost_of_one_pair:.4f}", "{trained_cost_of_one_pair:.4f}"),
    ]
    table = Table("", "closed form", "trained convolution", title=title.format(**figures))
    for row in rows:
        table.add_row(*(cell.format(**figures) for cell in row))
    Console().print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time of the adaptation costs.")
    parser.add_argument("--detectors", type=int, default=10)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--points", type=int, default=16, help="per image and level")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
