"""The steps of the workflow: its rules call these commands, and so may people."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable
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
Work = Callable[["Context"], object]
Libraries = Literal["mmdet", "torch", "neither"]

steps = typer.Typer()


@steps.command()
def check(
    experiment: ExperimentName,
    detector: DetectorName,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Try all that a detector's training needs: model, weights, schedule, images."""

    def work(context: Context) -> None:
        from mtpd.steps.check import check_detector

        check_detector(context, detector)

    _make(experiment, results, threads, ("check", detector), work)


@steps.command()
def check_pair(
    experiment: ExperimentName,
    method: Annotated[str, typer.Option(help="A method of the experiment.")],
    teacher: Annotated[str, typer.Option(help="A teacher.")],
    results: Results,
    threads: Threads = 1,
) -> None:
    """Check that a method's losses work between a teacher and the student."""

    def work(context: Context) -> None:
        from mtpd.steps.check import check_pair as check_teacher

        check_teacher(context, method, teacher)

    _make(experiment, results, threads, ("check_pair", method, teacher), work)


@steps.command()
def train(
    experiment: ExperimentName,
    detector: DetectorName,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Train a detector without teacher, or take over the weights that the experiment names."""

    def work(context: Context) -> None:
        from mtpd.steps.train import train_detector

        train_detector(context, detector)

    def taken(context: Context) -> None:
        from mtpd.steps.configs import add_detector_configs

        add_detector_configs(context, detector)

    _make(experiment, results, threads, ("train", detector), work, taken, gpus_of="train")


@steps.command()
def stage(
    experiment: ExperimentName,
    method: MethodName,
    chain: ChainText,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Train the last stage of a chain."""
    from mtpd.chains import Chain

    parsed = Chain.parse(chain)

    def work(context: Context) -> None:
        from mtpd.steps.stage import train_stage

        train_stage(context, method, parsed)

    def taken(context: Context) -> None:
        from mtpd.steps.configs import add_stage_configs

        add_stage_configs(context, method, parsed)

    _make(experiment, results, threads, ("stage", method, chain), work, taken, gpus_of="train")


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
    task = (
        ("evaluate_stage", str(method), str(chain))
        if detector is None
        else ("evaluate_detector", detector)
    )

    def work(context: Context) -> None:
        from mtpd.steps.evaluate import evaluate_detector, evaluate_stage

        if detector is not None:
            evaluate_detector(context, detector)
        else:
            evaluate_stage(context, str(method), str(chain))

    _make(experiment, results, threads, task, work, gpus_of="infer")


@steps.command()
def features(
    experiment: ExperimentName,
    detector: DetectorName,
    results: Results,
    threads: Threads = 1,
) -> None:
    """Fill a detector's feature cache."""

    def work(context: Context) -> None:
        from mtpd.steps.features import cache_features

        cache_features(context, detector)

    _make(experiment, results, threads, ("features", detector), work, gpus_of="infer")


@steps.command()
def costs(experiment: ExperimentName, results: Results, threads: Threads = 1) -> None:
    """Compute the adaptation costs between all detectors from their feature caches."""

    def work(context: Context) -> None:
        from mtpd.steps.costs import write_costs

        write_costs(context)

    _make(experiment, results, threads, ("costs",), work, uses="torch")


@steps.command()
def order(experiment: ExperimentName, results: Results, threads: Threads = 1) -> None:
    """Order the teachers of every run."""

    def work(context: Context) -> None:
        from mtpd.steps.order import write_order

        write_order(context)

    _make(experiment, results, threads, ("order",), work, uses="torch")


@steps.command()
def results(experiment: ExperimentName, results: Results, threads: Threads = 1) -> None:
    """Write the experiment's table and figure."""

    def work(context: Context) -> None:
        from mtpd.steps.results import write_results

        write_results(context)

    _make(experiment, results, threads, ("results",), work, uses="neither")


@steps.command()
def cost_matrix(experiment: ExperimentName, results: Results) -> None:
    """Draw the adaptation costs and the orders that they led to."""

    def work(context: Context) -> None:
        from mtpd.experiment.runs import runs_by_costs
        from mtpd.steps.cost_matrix import write_cost_matrix

        settings, layout = context.experiment, context.layout
        paths = [layout.figure("costs", kind) for kind in ("png", "pdf")]
        write_cost_matrix(settings, layout, runs_by_costs(settings), layout.experiment, paths)

    _make(experiment, results, 1, ("cost_matrix",), work, uses="neither")


@steps.command()
def report(experiment: ExperimentName, results: Results, threads: Threads = 1) -> None:
    """Write the experiment's report, one page, of what there is of its results."""

    def work(context: Context) -> None:
        from mtpd.steps.report import write_report

        write_report(context)

    _make(experiment, results, threads, ("report",), work)


@steps.command()
def pretrained(experiment: ExperimentName, detector: DetectorName, results: Results) -> None:
    """Fetch the published weights that parts of a detector start from."""

    def work(context: Context) -> None:
        from mtpd.steps.pretrained import fetch_pretrained

        fetch_pretrained(context.experiment, detector, context.layout, context.zoo)

    _make(experiment, results, 1, ("pretrained", detector), work, uses="torch")


def _make(
    experiment: str,
    results: Path,
    threads: int,
    task: tuple[str, ...],
    work: Work,
    taken: Work | None = None,
    gpus_of: Literal["train", "infer"] | None = None,
    uses: Libraries = "mmdet",
) -> None:
    """Have the results of a job made, or take them from the store.

    Args:
        experiment: Its YAML file, or its name.
        results: Folder of all results.
        threads: CPU threads that the job may use.
        task: The job: its rule and the values of the rule's wildcards.
        work: Makes the results.
        taken: Adds what the store does not keep.
        gpus_of: Kind of resources that says how many GPUs are leased while it works. A training on
            several is run by as many processes; this one waits for them.
        uses: Which of the libraries that take seconds to import the work needs.
    """
    from mtpd.digests import Digests
    from mtpd.experiment.load import open_experiment
    from mtpd.experiment.making import make
    from mtpd.experiment.recipes import Recipes, Task
    from mtpd.launch import is_launched, launch
    from mtpd.lease import leased_gpus
    from mtpd.settings.runtime import workflow_settings
    from mtpd.steps.context import Context
    from mtpd.store import Store

    if is_launched():
        together = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        work(_with_libraries(Context.open(experiment, results), max(1, threads // together), uses))
        return
    log_info()
    workflow, (settings, layout) = workflow_settings(), open_experiment(experiment, results)
    gpus = 0 if gpus_of is None else getattr(settings.resources, gpus_of).gpus
    if task[0] == "train" and settings.detector(task[1]).weights is not None:
        gpus = 0  # they are only taken over
    recipes = Recipes(settings, layout, workflow.zoo, Digests())

    def on_gpus() -> None:
        # Before torch is imported: it must not look at the devices of others.
        with leased_gpus(gpus):
            if uses == "neither":
                work(Context(settings, layout))
            elif gpus_of != "train" or gpus < 2:
                work(_with_libraries(Context(settings, layout), threads, uses))
            elif status := launch(gpus, sys.argv[1:]):
                raise typer.Exit(status)

    def add() -> bool:
        if taken is not None:
            taken(Context(settings, layout))
        return True

    make(recipes, Store(workflow.store_for(results)), Task(task[0], task[1:]), on_gpus, add)


def _with_libraries(context: Context, threads: int, uses: Libraries) -> Context:
    """``context``, after every library of this job is kept to ``threads`` CPU threads."""
    # Before any of these libraries is imported: they read the variables once.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(0)
    if os.environ.get("CUDA_VISIBLE_DEVICES") and not torch.cuda.is_available():
        logging.getLogger(__name__).warning(
            "the job has a GPU (%s) that this PyTorch cannot use: it works on the CPU",
            os.environ["CUDA_VISIBLE_DEVICES"],
        )
    if uses == "mmdet":
        import mmdet.datasets
        import mmdet.models  # noqa: F401
    # What is imported stays. MMEngine collects garbage for every data set, and looking through all
    # modules takes most of a second each time.
    gc.freeze()
    return context
