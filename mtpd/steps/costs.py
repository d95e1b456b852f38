"""Adaptation costs between all detectors, from their feature caches."""

from __future__ import annotations

from mtpd.features.cache import load_cache
from mtpd.files import write_json
from mtpd.selection.costs import common_strides, cost_intervals, level_costs, mean_costs
from mtpd.steps.context import Context
from mtpd.steps.features import cache_identity
from mtpd.steps.provenance import provenance


def write_costs(context: Context) -> None:
    """Write ``costs.json``: the cost of every ordered pair, source first.

    ``costs`` are normalised (1 − R²), means over ``strides``, which all detectors have;
    ``intervals`` are the 95 % intervals around them. ``unnormalised_costs`` are mean squared
    errors, ``level_costs`` the normalised cost of every stride that both of a pair have.
    """
    experiment, layout = context.experiment, context.layout
    caches = {
        name: load_cache(layout.detector(name).features, cache_identity(context, name))
        for name in experiment.detectors
    }
    ridge = experiment.ordering.ridge
    pairs, strides = level_costs(caches, ridge=ridge), common_strides(caches)
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
            "strides": list(strides),
            "costs": mean_costs(pairs, strides),
            "intervals": cost_intervals(pairs, strides, experiment.seed),
            "unnormalised_costs": mean_costs(pairs, strides, normalise=False),
            "level_costs": by_level,
            **provenance(experiment.seed, {"ridge": ridge}),
        },
    )
