"""The steps of the pipeline: the workflow's rules call these commands, and so may people."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mtpd.commands.options import (
    DetectorName,
    ExperimentName,
    Results,
    Threads,
    log_info,
)
from mtpd.errors import UserError

if TYPE_CHECKING:
    from mtpd.steps.context import Context

MethodName = Annotated[str, typer.Option("--method", help="A method of the experiment.")]
ChainText = Annotated[str, typer.Option("--chain", help="Teachers so far, such as t1+t2.")]

steps = typer.Typer()


@steps.command()
def check(
    experiment: ExperimentName,
    detector: DetectorName,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Try all that a detector's training needs: model, weights, schedule, images."""
    context = _open(experiment, results, threads)
    from mtpd.steps.check import check_detector

    check_detector(context, detector)


@steps.command()
def check_pair(
    experiment: ExperimentName,
    method: Annotated[str, typer.Option(help="A method of the experiment.")],
    teacher: Annotated[str, typer.Option(help="A teacher.")],
    results: Results,
    threads: Threads = 1,
) -> None:
    """Check that a method's losses work between a teacher and the student."""
    context = _open(experiment, results, threads)
    from mtpd.steps.check import check_pair as check_teacher

    check_teacher(context, method, teacher)


@steps.command()
def train(
    experiment: ExperimentName,
    detector: DetectorName,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Train a detector without teacher, or take over the weights that the experiment names."""
    with _open_with_gpus(experiment, results, threads, "train") as context:
        from mtpd.steps.train import train_detector

        train_detector(context, detector)


@steps.command()
def stage(
    experiment: ExperimentName,
    method: MethodName,
    chain: ChainText,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Train the last stage of a chain."""
    with _open_with_gpus(experiment, results, threads, "train") as context:
        from mtpd.chains import Chain
        from mtpd.steps.stage import train_stage

        train_stage(context, method, Chain.parse(chain))


@steps.command()
def evaluate(
    experiment: ExperimentName,
    results: Results,
    detector: Annotated[str | None, typer.Option(help="A detector without teacher.")] = None,
    method: Annotated[str | None, typer.Option(help="With --chain: a stage's method.")] = None,
    chain: Annotated[str | None, typer.Option(help="With --method: the stage.")] = None,
    threads: Threads = 1,
) -> None:
    """Evaluate a detector, or the student after a stage, with pycocotools."""
    if (detector is None) == (method is None) or (method is None) != (chain is None):
        raise UserError(
            "mtpd evaluate", "names no model", "give --detector, or --method and --chain"
        )
    with _open_with_gpus(experiment, results, threads, "infer") as context:
        from mtpd.chains import Chain
        from mtpd.experiment.dependencies import detector_settings, stage_settings
        from mtpd.steps.evaluate import evaluate as evaluate_model

        if detector is not None:
            settings = detector_settings(context.experiment, detector)
            evaluate_model(context, detector, context.layout.detector(detector), settings)
        else:
            assert method is not None
            assert chain is not None
            student = context.experiment.student.name
            settings = stage_settings(context.experiment, method, Chain.parse(chain))
            evaluate_model(context, student, context.layout.stage(method, chain), settings)


@steps.command()
def features(
    experiment: ExperimentName,
    detector: DetectorName,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Fill a detector's feature cache."""
    with _open_with_gpus(experiment, results, threads, "infer") as context:
        from mtpd.steps.features import cache_features

        cache_features(context, detector)


@steps.command()
def costs(experiment: ExperimentName, results: Results, threads: Threads = 1) -> None:
    """Compute the adaptation costs between all detectors from their feature caches."""
    context = _open(experiment, results, threads)
    from mtpd.steps.costs import write_costs

    write_costs(context)


@steps.command()
def order(experiment: ExperimentName, results: Results, threads: Threads = 1) -> None:
    """Order the teachers of every run."""
    context = _open(experiment, results, threads)
    from mtpd.steps.order import write_order

    write_order(context)


@steps.command()
def results(experiment: ExperimentName, results: Results, threads: Threads = 1) -> None:
    """Write the experiment's table and figure."""
    context = _open(experiment, results, threads)
    from mtpd.steps.results import write_results

    write_results(context)


@steps.command()
def cost_matrix(experiment: ExperimentName, results: Results) -> None:
    """Draw the adaptation costs and the orders that they led to."""
    from mtpd.experiment.load import open_experiment
    from mtpd.experiment.runs import runs_by_costs
    from mtpd.steps.cost_matrix import write_cost_matrix

    settings, layout = open_experiment(experiment, results)
    paths = [layout.figure("costs", kind) for kind in ("png", "pdf")]
    write_cost_matrix(settings, layout, runs_by_costs(settings), layout.experiment, paths)


@steps.command()
def pretrained(experiment: ExperimentName, detector: DetectorName, results: Results) -> None:
    """Fetch the published weights that parts of a detector start from."""
    from mtpd.experiment.load import open_experiment
    from mtpd.settings.runtime import workflow_settings
    from mtpd.steps.pretrained import fetch_pretrained

    log_info()
    settings, layout = open_experiment(experiment, results)
    fetch_pretrained(settings, detector, layout, workflow_settings().zoo)


def _open(experiment: str, results: Path, threads: int) -> Context:
    """Open the experiment, and keep every library of this job to ``threads`` CPU threads."""
    # Before any of these libraries is imported: they read the variables once.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    import cv2
    import torch

    from mtpd.steps.context import Context

    torch.set_num_threads(threads)
    cv2.setNumThreads(0)
    return Context.open(experiment, results)


@contextmanager
def _open_with_gpus(
    experiment: str, results: Path, threads: int, kind: Literal["train", "infer"]
) -> Iterator[Context]:
    """Open the experiment, with the GPUs that a job of this ``kind`` uses leased meanwhile.

    A training on several is run by as many processes; this one leaves when they have ended.
    """
    from mtpd.experiment.load import open_experiment
    from mtpd.launch import is_launched, launch
    from mtpd.lease import leased_gpus

    if is_launched():
        yield _open(experiment, results, threads)
        return
    gpus = getattr(open_experiment(experiment)[0].resources, kind).gpus
    # Before torch is imported: it must not look at the devices of others.
    with leased_gpus(gpus):
        if kind == "train" and gpus > 1:
            raise typer.Exit(launch(gpus, sys.argv[1:]))
        yield _open(experiment, results, threads)
