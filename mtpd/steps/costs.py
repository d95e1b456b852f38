"""Adaptation costs between all detectors, from their feature caches."""

from __future__ import annotations

from mtpd.features.cache import load_cache
from mtpd.files import write_json
from mtpd.selection.costs import cost_matrix
from mtpd.steps.context import Context
from mtpd.steps.features import cache_identity
from mtpd.steps.provenance import provenance


def write_costs(context: Context) -> None:
    """Write ``costs.json``: the cost of every ordered pair, normalised (1 − R²) and not."""
    experiment, layout = context.experiment, context.layout
    caches = {
        name: load_cache(layout.detector(name).features, cache_identity(context, name))
        for name in experiment.detectors
    }
    ridge = experiment.ordering.ridge
    normalised = cost_matrix(caches, ridge=ridge)
    unnormalised = cost_matrix(caches, ridge=ridge, normalise=False)
    settings = {"ridge": ridge}
    write_json(
        layout.costs,
        {
            "costs": normalised,
            "unnormalised_costs": unnormalised,
            "strides": {name: list(cache) for name, cache in caches.items()},
            **provenance(experiment.seed, settings),
        },
    )
