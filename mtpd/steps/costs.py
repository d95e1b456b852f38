"""Adaptation costs between all detectors, from their feature caches."""

from __future__ import annotations

from mtpd.features.cache import load_cache
from mtpd.files import write_json
from mtpd.selection.costs import level_costs, mean_cost
from mtpd.steps.context import Context
from mtpd.steps.features import cache_identity
from mtpd.steps.provenance import provenance


def write_costs(context: Context) -> None:
    """Write ``costs.json``: the cost of every ordered pair, source first.

    ``costs`` are normalised (1 − R², mean over levels), ``unnormalised_costs`` mean squared errors,
    ``level_costs`` the normalised cost of each stride.
    """
    experiment, layout = context.experiment, context.layout
    caches = {
        name: load_cache(layout.detector(name).features, cache_identity(context, name))
        for name in experiment.detectors
    }
    ridge = experiment.ordering.ridge
    pairs = level_costs(caches, ridge=ridge)
    means = {
        normalise: {
            source: {
                target: mean_cost(levels, normalise=normalise) for target, levels in row.items()
            }
            for source, row in pairs.items()
        }
        for normalise in (True, False)
    }
    by_level = {
        source: {
            target: {str(stride): level.normalised for stride, level in levels.items()}
            for target, levels in row.items()
        }
        for source, row in pairs.items()
    }
    write_json(
        layout.costs,
        {
            "costs": means[True],
            "unnormalised_costs": means[False],
            "level_costs": by_level,
            **provenance(experiment.seed, {"ridge": ridge}),
        },
    )
