"""The orders that an experiment has found so far."""

from __future__ import annotations

from mtpd.chains import Chain
from mtpd.errors import UserError
from mtpd.experiment.dependencies import order_settings
from mtpd.experiment.runs import chains_of_runs
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
        if order["config_hash"] != digest_of(order_settings(experiment)):
            return chains_of_runs(experiment, {})  # it was made for other settings
        teachers = {
            name: run["teachers"] for name, run in order["runs"].items() if "teachers" in run
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(layout.order, "was written by another version", "delete it") from error
    return chains_of_runs(experiment, teachers)
