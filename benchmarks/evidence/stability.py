"""How stable adaptation costs, and the orders that follow from them, are.

One feature cache of many images and points for each detector; costs from parts of it are compared
with those from all of it. Nothing is trained but, for comparison, the 1×1 convolutions.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
import yaml
from scipy.stats import kendalltau

from benchmarks.costs import train_convolution
from benchmarks.evidence.rows import STABILITY
from benchmarks.evidence.runs import EXPERIMENTS, RESULTS, SEEDED
from mtpd.features.cache import load_cache
from mtpd.files import read_json, whole_file
from mtpd.layout import Layout
from mtpd.selection.costs import (
    DEFAULT_RIDGE,
    Features,
    common_strides,
    cost_intervals,
    level_costs,
    mean_costs,
)
from mtpd.selection.decisions import Order
from mtpd.selection.greedy import backward_greedy, backward_greedy_between
from mtpd.selection.pool import Pool
from mtpd.steps.context import Context
from mtpd.steps.features import cache_identity

IMAGES, POINTS, DRAWS = 800, 32, 100
MAX_TEACHERS = 3
COLUMNS = [
    "what",
    "value",
    "draws",
    "mean_abs_error",
    "max_abs_error",
    "kendall_tau",
    "interval_holds",
    "same_bgs",
    "same_bgs_between",
]
"""Errors are against the costs of all images and points; kendall_tau compares the ranking of all
pairs; interval_holds is the share of 95 % intervals that hold the cost of all images; same_… the
share of draws that lead to the order of all images and points."""

Sampled = Mapping[str, Features]


def measure(experiment: str, seed: int) -> None:
    """Measure on the detectors of one seed of an experiment; write ``docs/evidence/costs.csv``."""
    features, pool = _measured(experiment, seed)
    rows = pd.DataFrame(list(stability(features, pool)), columns=COLUMNS)
    with whole_file(STABILITY) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.4f")


def stability(features: Sampled, pool: Pool) -> Iterator[dict[str, object]]:
    """Rows of how much costs and orders change with images, points, ridge and way of fitting."""
    whole = _costs(features)
    images = len(next(iter(next(iter(features.values())).values())))
    generator = np.random.default_rng(0)
    for count in (32, 64, 128, 256, 512):
        draws = [generator.permutation(images)[:count] for _ in range(DRAWS)]
        parts = [_part(features, images=np.sort(drawn)) for drawn in draws]
        yield _row("images", count, parts, pool, whole)
    for count in (1, 2, 4, 8, 16):
        draws = [np.sort(generator.permutation(images)[:128]) for _ in range(DRAWS)]
        parts = [_part(features, images=drawn, points=count) for drawn in draws]
        yield _row("points, of 128 images", count, parts, pool, whole)
    for ridge in (1e-4, 1e-3, 1e-1):
        yield _row("ridge", ridge, [features], pool, whole, ridge=ridge)
    trained = _trained(features)
    yield {
        "what": "1×1 convolutions, trained",
        "value": "",
        "draws": 1,
        **_errors([trained], whole),
        "interval_holds": np.nan,
        **_orders([trained], pool, whole),
    }


def _row(
    what: str,
    value: float,
    parts: list[Sampled],
    pool: Pool,
    whole: dict[str, dict[str, float]],
    ridge: float = DEFAULT_RIDGE,
) -> dict[str, object]:
    costs, holding = [], []
    for number, part in enumerate(parts):
        levels, strides = level_costs(part, ridge=ridge), common_strides(part)
        costs.append(mean_costs(levels, strides))
        if ridge == DEFAULT_RIDGE:
            intervals = cost_intervals(levels, strides, number)
            holding += [
                low <= whole[source][target] <= high
                for source, row in intervals.items()
                for target, (low, high) in row.items()
            ]
    return {
        "what": what,
        "value": value,
        "draws": len(parts),
        **_errors(costs, whole),
        "interval_holds": np.mean(holding) if holding else np.nan,
        **_orders(costs, pool, whole),
    }  # fmt: skip


def _errors(
    found: list[dict[str, dict[str, float]]], whole: dict[str, dict[str, float]]
) -> dict[str, float]:
    truth = _flat(whole)
    values = np.array([_flat(costs) for costs in found])
    errors = np.abs(values - truth)
    taus = [float(kendalltau(row, truth).statistic) for row in values]
    return {
        "mean_abs_error": float(errors.mean()),
        "max_abs_error": float(errors.max()),
        "kendall_tau": float(np.mean(taus)),
    }


def _orders(
    found: list[dict[str, dict[str, float]]], pool: Pool, whole: dict[str, dict[str, float]]
) -> dict[str, float]:
    return {
        "same_bgs": _same(backward_greedy, found, pool, whole),
        "same_bgs_between": _same(backward_greedy_between, found, pool, whole),
    }


def _same(
    rule: Callable[[Pool, int], Order],
    found: list[dict[str, dict[str, float]]],
    pool: Pool,
    whole: dict[str, dict[str, float]],
) -> float:
    """Share of the costs in ``found`` that lead to the order that those of ``whole`` lead to."""

    def order(costs: dict[str, dict[str, float]]) -> tuple[str, ...]:
        own = Pool(pool.student, pool.scores, costs, pool.student_score)
        return tuple(rule(own, min(MAX_TEACHERS, len(pool.scores))).teachers)

    right = order(whole)
    return float(np.mean([order(costs) == right for costs in found]))


def _part(features: Sampled, images: np.ndarray, points: int | None = None) -> Sampled:
    return {
        name: {stride: values[images, :points] for stride, values in levels.items()}
        for name, levels in features.items()
    }


def _costs(features: Sampled) -> dict[str, dict[str, float]]:
    return mean_costs(level_costs(features), common_strides(features))


def _trained(features: Sampled) -> dict[str, dict[str, float]]:
    """Costs by training the convolutions, from 128 images of 16 points."""
    part = _part(features, np.arange(128), 16)
    strides = common_strides(part)
    return {
        source: {
            target: float(np.mean([train_convolution(one[s], other[s]) for s in strides]))
            for target, other in part.items()
            if target != source
        }
        for source, one in part.items()
    }


def _flat(costs: Mapping[str, Mapping[str, float]]) -> list[float]:
    return [row[target] for _, row in sorted(costs.items()) for target in sorted(row)]


def _measured(name: str, seed: int) -> tuple[Sampled, Pool]:
    """Caches of many images and points, and the scores, of one seed's detectors."""
    raw = yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text(encoding="utf-8"))
    raw |= {"seed": seed, "ordering": {"images": IMAGES, "points": POINTS}}
    raw["runs"] = {}
    path = SEEDED / f"{name}-costs-seed{seed}.yaml"
    with whole_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    layout = Layout(RESULTS, path.stem)
    detectors = [raw["student"]["name"], *raw["teachers"]]
    folders = [layout.detector(detector) for detector in detectors]
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    config = ["--config", f"experiments={path.stem}", f"folder={SEEDED}"]
    targets = [str(file) for folder in folders for file in (folder.features, folder.metrics)]
    subprocess.run([*command, *config, "--", *targets], check=True)
    context = Context.open(path, RESULTS)
    caches = {
        detector: load_cache(folder.features, cache_identity(context, detector))
        for detector, folder in zip(detectors, folders, strict=True)
    }
    scores = {
        detector: float(read_json(folder.metrics)["splits"]["val"]["bbox_mAP"])
        for detector, folder in zip(detectors, folders, strict=True)
    }
    student = detectors[0]
    own = scores.pop(student)
    return caches, Pool(student, scores, student_score=own)
