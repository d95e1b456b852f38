"""The orders that an experiment has found so far."""

from __future__ import annotations

from typing import Any

from mtpd.chains import Chain
from mtpd.errors import UserError
from mtpd.experiment.records import read_record
from mtpd.experiment.runs import chains_of_runs, order_settings
from mtpd.files import digest_of, read_json
from mtpd.layout import Layout
from mtpd.settings.experiment import Experiment


def known_chains(experiment: Experiment, layout: Layout) -> dict[str, Chain]:
    """Chains of the runs whose order is decided, by the settings or by the order step.

    Raises:
        UserError: ``order.json`` is not what the order step writes.
    """
    if not layout.order.exists():
        return chains_of_runs(experiment, {})
    order = read_json(layout.order)
    try:
        if not _is_current(order, experiment, layout):
            return chains_of_runs(experiment, {})
        teachers = {
            name: run["teachers"]
            for name, run in order["runs"].items()
            if "teachers" in run and set(run["teachers"]) <= set(experiment.teachers)
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            layout.order, "was written by another version", "delete it; it is made again"
        ) from error
    return chains_of_runs(experiment, teachers)


def _is_current(order: Any, experiment: Experiment, layout: Layout) -> bool:
    """Whether ``order.json`` was made for the settings at hand."""
    settings = order_settings(experiment)
    record = read_record(layout.record("order", ()))
    if record is None:
        return bool(order["config_hash"] == digest_of(settings))
    return digest_of(record.settings) == digest_of(settings)
