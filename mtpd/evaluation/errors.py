"""Which kinds of errors a model makes, how many of each, and what AP they cost.

The kinds are those of :mod:`mtpd.evaluation.judging`. Two figures belong to each:

*count*: detections of at least a given score, and for *missed* objects.

*cost*: by how much AP50 would rise if errors of this kind alone were mended, all detections
counted. A localisation or classification error then counts as right for the object that it is
nearest to, with that object's class, unless a detection has found that object or a better one was
mended for it; then it is left out, as both, duplicate and background errors are. Missed objects do
not count any more. Costs of different kinds do not add up to what is missing to 100 %: one mended
error changes what another is worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mtpd.evaluation.judging import NOTHING, Judged, Outcome

KINDS = ("localisation", "classification", "both", "duplicate", "background", "missed")
_RECALLS = np.linspace(0, 1, 101)
_MENDED = ("localisation", "classification")


@dataclass(frozen=True)
class Errors:
    """The errors of a model on a split.

    Attributes:
        ap50: Mean AP of all classes at an IoU of 0.5, as a fraction; None: nothing was to be found.
        counts: Kind → number.
        costs: Kind → what AP50 would gain without it, as a fraction; empty: there is no AP50.
    """

    ap50: float | None
    counts: dict[str, int]
    costs: dict[str, float]


def count_errors(judged: Judged, threshold: float) -> Errors:
    """The errors among detections of at least the score ``threshold``, and what each kind costs."""
    counted = judged.outcome[judged.score >= threshold]
    counts = {kind: int((counted == Outcome[kind.upper()]).sum()) for kind in KINDS[:-1]}
    counts["missed"] = int(judged.missed(threshold).sum())
    whole = _ap50(judged)
    if whole is None:
        return Errors(None, counts, {})
    costs = {kind: max(0.0, (_ap50(judged, kind) or 0.0) - whole) for kind in KINDS}
    return Errors(whole, counts, costs)


def _ap50(judged: Judged, mended: str | None = None) -> float | None:
    """Mean AP50 of the classes that have objects; with one kind of errors mended."""
    objects, labels = judged.objects, judged.label.copy()
    right = judged.outcome == Outcome.RIGHT
    kept = judged.outcome != Outcome.IGNORED
    counted = np.ones(len(objects), dtype=bool)
    if mended == "missed":
        counted = ~judged.missed()
    elif mended is not None:
        wrong = judged.outcome == Outcome[mended.upper()]
        better = _first_for_object(judged, wrong) if mended in _MENDED else np.zeros_like(wrong)
        labels[better] = objects.label[judged.target[better]]
        right, kept = right | better, kept & (~wrong | better)
    precisions = []
    for label in np.unique(objects.label):
        number = int((counted & (objects.label == label)).sum())
        own = kept & (labels == label)
        if number:
            precisions.append(average_precision(judged.score[own], right[own], number))
    return float(np.mean(precisions)) if precisions else None


def _first_for_object(judged: Judged, wrong: np.ndarray) -> np.ndarray:
    """Those of the detections ``wrong`` that would be the best for an object that nobody found."""
    best = np.zeros_like(wrong)
    taken = judged.found()
    places = np.flatnonzero(wrong)
    for place in places[np.argsort(-judged.score[places], kind="stable")]:
        target = judged.target[place]
        if target != NOTHING and not taken[target]:
            taken[target] = best[place] = True
    return best


def average_precision(scores: np.ndarray, right: np.ndarray, number: int) -> float:
    """AP over 101 recalls, as pycocotools interpolates it, of ``number`` objects."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall = hits / number
    precision = hits / np.arange(1, len(hits) + 1)
    # The precision at a recall is the best at that recall or above it.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[places].mean())


def most_useful_threshold(judged: Judged) -> float:
    """The score at which the model has its highest F1 on the split; 0 where nothing is right.

    Models differ in how high their scores are: at its own best threshold each shows what it can do.
    """
    counted = judged.outcome != Outcome.IGNORED
    scores, right = judged.score[counted], judged.outcome[counted] == Outcome.RIGHT
    order = np.argsort(-scores, kind="stable")
    values = f1(np.cumsum(right[order]), np.arange(1, len(order) + 1), len(judged.objects))
    # Detections of one score come together or not at all.
    ends = np.append(np.diff(scores[order]) != 0, True)[: len(order)]
    values = np.where(ends, values, -1)
    return float(scores[order][values.argmax()]) if right.any() else 0.0


def f1(right: np.ndarray, detections: np.ndarray, objects: np.ndarray | int) -> np.ndarray:
    """Harmonic mean of precision and recall; 1 where there is nothing to find and nothing found."""
    both = np.asarray(detections + objects, dtype=float)
    return np.divide(2.0 * right, both, out=np.ones_like(both), where=both > 0)


def f1_of_images(judged: Judged, threshold: float, images: Iterable[int]) -> dict[int, float]:
    """F1 of every image, from the detections of at least the score ``threshold``."""
    used = (judged.score >= threshold) & (judged.outcome != Outcome.IGNORED)
    ids = np.array(list(images), dtype=int)
    right = _count(judged.image[used & (judged.outcome == Outcome.RIGHT)], ids)
    values = f1(right, _count(judged.image[used], ids), _count(judged.objects.image, ids))
    return dict(zip(ids.tolist(), values.tolist(), strict=True))


def _count(images: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """How often each of ``ids`` stands in ``images``."""
    known, numbers = np.unique(images, return_counts=True)
    counts = dict(zip(known.tolist(), numbers.tolist(), strict=True))
    return np.array([counts.get(image, 0) for image in ids.tolist()], dtype=int)
