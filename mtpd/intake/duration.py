"""How long an experiment will take on this machine, before anything of it is there."""

from __future__ import annotations

from mtpd.chains import Chain
from mtpd.estimation.estimate import Prices
from mtpd.estimation.images import Images
from mtpd.estimation.speed import Speed
from mtpd.experiment.runs import chains_of_runs, run_of
from mtpd.intake.machine import Machine
from mtpd.layout import Layout
from mtpd.settings.experiment import Experiment


def hours(
    experiment: Experiment, layout: Layout, images: dict[str, int], speed: Speed, machine: Machine
) -> float:
    """Wall time from the first training to the last evaluation, as far as it can be told.

    The order is not known yet: chains count with the slowest teachers.

    Args:
        experiment: With all its settings.
        layout: Where its results will lie.
        images: Of every split.
        speed: How long steps take.
        machine: Says how many jobs run at once.
    """
    prices = Prices(experiment, layout, speed)
    prices.images = Images(images, "counted")
    startup = speed.startup_seconds
    resources = experiment.resources.train
    at_once = 1 if resources.gpus else max(1, machine.cores // resources.threads)
    detectors = [
        3 * startup
        + prices.training(name).seconds
        + prices.evaluation(name).seconds
        + prices.features(name).seconds
        for name in experiment.detectors
    ]
    chains = chains_of_runs(experiment, prices.longest_orders())
    stages: dict[tuple[str, str], float] = {}
    in_turn = []
    for member, chain in chains.items():
        method, seconds = run_of(experiment, member).method, 0.0
        for prefix in chain.prefixes():
            cost = _stage_seconds(prices, method, prefix) + 2 * startup
            stages[method, str(prefix)] = cost
            seconds += cost
        in_turn.append(seconds)
    phases = (detectors, max(detectors)), (list(stages.values()), max(in_turn, default=0.0))
    return sum(max(sum(costs) / at_once, longest) for costs, longest in phases) / 3600


def _stage_seconds(prices: Prices, method: str, chain: Chain) -> float:
    student = prices.experiment.student.name
    return prices.stage(method, chain.last).seconds + prices.evaluation(student).seconds
