"""Commands for people: how far experiments are, what they will take, and the papers' tables."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from mtpd.commands.options import ExperimentName, ExperimentNames, Results

CalibrationFile = Annotated[
    Path | None, typer.Option(help="Measured speeds; none: calibration.yaml in the results folder.")
]

overview = typer.Typer()


@overview.command()
def status(
    experiment: ExperimentName,
    results: Results,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it as it changes, until q or Ctrl-C is typed.")
    ] = False,
) -> None:
    """Show what is done, running, interrupted, failed or waiting; changes nothing."""
    from rich.console import Console

    from mtpd.experiment.load import open_experiment
    from mtpd.overview.status import collect_status
    from mtpd.reporting.status import print_status

    console = Console(highlight=False)
    if not watch or not console.is_terminal:
        print_status(collect_status(*open_experiment(experiment, results)))
        return
    from mtpd.display.watch import watch as show
    from mtpd.estimation.speed import Calibration, Speed
    from mtpd.layout import calibration_file
    from mtpd.settings.runtime import workflow_settings
    from mtpd.steps.estimate import estimate_experiments

    opened = open_experiment(experiment, results)
    forked = workflow_settings().forks_jobs
    speed = Speed(Calibration.load(calibration_file(results)), forked=forked)
    with suppress(KeyboardInterrupt):
        show(
            lambda: collect_status(*opened),
            lambda: estimate_experiments([experiment], results, speed),
            console,
        )


@overview.command()
def estimate(
    experiments: ExperimentNames,
    results: Results,
    calibration: CalibrationFile = None,
) -> None:
    """Show jobs, GPU hours, wall time and disk of what is left to do; starts nothing."""
    from mtpd.estimation.speed import Calibration, Speed
    from mtpd.layout import calibration_file
    from mtpd.reporting.estimate import print_estimate
    from mtpd.settings.runtime import workflow_settings
    from mtpd.steps.estimate import estimate_experiments

    known = Calibration.load(calibration or calibration_file(results))
    speed = Speed(known, forked=workflow_settings().forks_jobs)
    print_estimate(estimate_experiments(experiments, results, speed), speed)


@overview.command()
def calibrate(
    experiments: ExperimentNames,
    results: Results,
    calibration: CalibrationFile = None,
    distillation: Annotated[
        bool, typer.Option(help="Measure every student with every teacher as well.")
    ] = False,
    size: Annotated[
        tuple[int, int] | None, typer.Option(help="Image size in place of the experiments'.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of which the median counts.")] = 10,
) -> None:
    """Measure on this machine how long the experiments' detectors take, for the estimate."""
    from mtpd.estimation.estimate import workloads
    from mtpd.experiment.load import open_experiment
    from mtpd.layout import calibration_file
    from mtpd.lease import leased_gpus

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("mtpd").setLevel(logging.INFO)

    needed = workloads(
        [open_experiment(name, results) for name in experiments],
        distillation=distillation,
        size=size,
    )
    on_gpu = any(workload.device == "cuda" for workload in needed)
    # Before torch is imported: it must not look at the devices of others.
    with leased_gpus(1 if on_gpu else 0):
        from mtpd.steps.calibrate import calibrate as measure

        measure(needed, calibration or calibration_file(results), steps)


@overview.command()
def paper_tables(
    results: Results,
    tables: Annotated[
        Path | None,
        typer.Option(help="YAML file of the tables and figures; none: as in config/config.yaml."),
    ] = None,
    experiments_folder: Annotated[
        Path | None,
        typer.Option(help="Folder of the experiments; none: as in config/config.yaml."),
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this one, such as tables.mtpd_best, or report; may stand several times."
        ),
    ] = None,
) -> None:
    """Write the papers' tables and figures, and a page that shows them all.

    What is not measured yet is marked as missing.
    """
    from mtpd.papers.paper import REPORT, choose_items, load_experiments, load_paper
    from mtpd.settings.runtime import workflow_settings
    from mtpd.steps.paper import write_paper, write_paper_report

    workflow = workflow_settings()
    file = tables or workflow.paper_tables
    paper = load_paper(file)
    items = choose_items(file, paper, item)
    shown = [key for key in items if key != REPORT]
    needed = None if REPORT in items else shown
    experiments = load_experiments(file, paper, experiments_folder or workflow.folder, needed)
    for path in write_paper(paper, experiments, results, shown):
        typer.echo(path)
    if REPORT in items:
        typer.echo(write_paper_report(paper, experiments, results))


@overview.command()
def schema() -> None:
    """Print the JSON schema of an experiment's YAML."""
    import json

    from mtpd.settings.experiment import Experiment

    typer.echo(json.dumps(Experiment.model_json_schema(), indent=2))
