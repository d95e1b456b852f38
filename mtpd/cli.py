"""The ``mtpd`` command. Heavy imports live inside the steps, so that help answers at once."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mtpd.errors import Interrupted, UserError

if TYPE_CHECKING:
    from mtpd.steps.context import Context

app = typer.Typer(
    help="Multi-teacher progressive distillation of object detectors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ExperimentFile = Annotated[Path, typer.Argument(help="YAML file of the experiment.")]
ExperimentFiles = Annotated[list[Path], typer.Argument(help="YAML files of experiments.")]
Results = Annotated[Path, typer.Option(help="Folder of all results.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads that this job may use.")]
DetectorName = Annotated[str, typer.Option("--detector", help="The student or a teacher.")]
MethodName = Annotated[str, typer.Option("--method", help="A method of the experiment.")]
ChainText = Annotated[str, typer.Option("--chain", help="Teachers so far, such as t1+t2.")]
CalibrationFile = Annotated[
    Path | None, typer.Option(help="Measured speeds; none: calibration.yaml in the results folder.")
]

DEFAULT_RESULTS = Path("results")
DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def main() -> None:
    """Run the command.

    A wrong input is one line on standard error and exit status 1; a job that was told to end and
    can go on later has exit status 75, so that Snakemake tries it again.
    """
    try:
        app()
    except Interrupted as event:
        sys.stderr.write(f"interrupted: {event}; run it again to go on from there\n")
        sys.exit(os.EX_TEMPFAIL)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        remedy = "make room, or see to the folder's permissions, and run it again"
        sys.stderr.write(f"error: {error.filename or 'disk'}: {error.strerror}; {remedy}\n")
        sys.exit(1)


@app.command()
def data(
    experiment: ExperimentFile,
    results: Results = DEFAULT_RESULTS,
    data_root: Annotated[
        Path | None, typer.Option(help="Takes the place of the experiment's data.root.")
    ] = None,
) -> None:
    """Check the data set, converting or generating it where needed."""
    from mtpd.experiment.load import load_experiment
    from mtpd.layout import Layout
    from mtpd.steps.data import prepare_data

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")

    settings = load_experiment(experiment, data_root)
    prepare_data(settings, Layout(results, experiment.stem))


@app.command()
def check(
    experiment: ExperimentFile,
    detector: DetectorName,
    results: Results = DEFAULT_RESULTS,
    threads: Threads = 1,
) -> None:
    """Try all that a detector's training needs: model, weights, schedule, images."""
    context = _open(experiment, results, threads)
    from mtpd.steps.check import check_detector

    check_detector(context, detector)


@app.command()
def check_pair(
    experiment: ExperimentFile,
    method: Annotated[str, typer.Option(help="A method of the experiment.")],
    teacher: Annotated[str, typer.Option(help="A teacher.")],
    results: Results = DEFAULT_RESULTS,
    threads: Threads = 1,
) -> None:
    """Check that a method's losses work between a teacher and the student."""
    context = _open(experiment, results, threads)
    from mtpd.steps.check import check_pair as check_teacher

    check_teacher(context, method, teacher)


@app.command()
def train(
    experiment: ExperimentFile,
    detector: DetectorName,
    results: Results = DEFAULT_RESULTS,
    threads: Threads = 1,
) -> None:
    """Train a detector without teacher, or take over the weights that the experiment names."""
    with _open_with_gpus(experiment, results, threads, "train") as context:
        from mtpd.steps.train import train_detector

        train_detector(context, detector)


@app.command()
def stage(
    experiment: ExperimentFile,
    method: MethodName,
    chain: ChainText,
    results: Results = DEFAULT_RESULTS,
    threads: Threads = 1,
) -> None:
    """Train the last stage of a chain."""
    with _open_with_gpus(experiment, results, threads, "train") as context:
        from mtpd.selection.chains import Chain
        from mtpd.steps.stage import train_stage

        train_stage(context, method, Chain.parse(chain))


@app.command()
def evaluate(
    experiment: ExperimentFile,
    detector: Annotated[str | None, typer.Option(help="A detector without teacher.")] = None,
    method: Annotated[str | None, typer.Option(help="With --chain: a stage's method.")] = None,
    chain: Annotated[str | None, typer.Option(help="With --method: the stage.")] = None,
    results: Results = DEFAULT_RESULTS,
    threads: Threads = 1,
) -> None:
    """Evaluate a detector, or the student after a stage, with pycocotools."""
    if (detector is None) == (method is None) or (method is None) != (chain is None):
        raise UserError(
            "mtpd evaluate", "names no model", "give --detector, or --method and --chain"
        )
    with _open_with_gpus(experiment, results, threads, "infer") as context:
        from mtpd.experiment.jobs import detector_settings, stage_settings
        from mtpd.selection.chains import Chain
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


@app.command()
def features(
    experiment: ExperimentFile,
    detector: DetectorName,
    results: Results = DEFAULT_RESULTS,
    threads: Threads = 1,
) -> None:
    """Fill a detector's feature cache."""
    with _open_with_gpus(experiment, results, threads, "infer") as context:
        from mtpd.steps.features import cache_features

        cache_features(context, detector)


@app.command()
def costs(
    experiment: ExperimentFile, results: Results = DEFAULT_RESULTS, threads: Threads = 1
) -> None:
    """Compute the adaptation costs between all detectors from their feature caches."""
    context = _open(experiment, results, threads)
    from mtpd.steps.costs import write_costs

    write_costs(context)


@app.command()
def order(
    experiment: ExperimentFile, results: Results = DEFAULT_RESULTS, threads: Threads = 1
) -> None:
    """Order the teachers of every run."""
    context = _open(experiment, results, threads)
    from mtpd.steps.order import write_order

    write_order(context)


@app.command()
def results(
    experiment: ExperimentFile, results: Results = DEFAULT_RESULTS, threads: Threads = 1
) -> None:
    """Write the experiment's table and figure."""
    context = _open(experiment, results, threads)
    from mtpd.steps.results import write_results

    write_results(context)


@app.command()
def status(experiment: ExperimentFile, results: Results = DEFAULT_RESULTS) -> None:
    """Show what is done, running, interrupted, failed or waiting; changes nothing."""
    from mtpd.experiment.load import load_experiment
    from mtpd.layout import Layout
    from mtpd.reporting.status import print_status
    from mtpd.steps.status import collect_status

    print_status(collect_status(load_experiment(experiment), Layout(results, experiment.stem)))


@app.command()
def estimate(
    experiments: ExperimentFiles,
    results: Results = DEFAULT_RESULTS,
    calibration: CalibrationFile = None,
) -> None:
    """Show jobs, GPU hours, wall time and disk of what is left to do; starts nothing."""
    from mtpd.experiment.estimate import estimate as estimate_experiment
    from mtpd.experiment.load import load_experiment
    from mtpd.experiment.speed import Calibration, Speed
    from mtpd.layout import Layout, calibration_file
    from mtpd.reporting.estimate import print_estimate

    speed = Speed(Calibration.load(calibration or calibration_file(results)))
    estimates = [
        estimate_experiment(load_experiment(path), Layout(results, path.stem), speed)
        for path in experiments
    ]
    print_estimate(estimates, speed)


@app.command()
def calibrate(
    experiments: ExperimentFiles,
    results: Results = DEFAULT_RESULTS,
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
    from mtpd.experiment.estimate import workloads
    from mtpd.experiment.load import load_experiment
    from mtpd.layout import Layout, calibration_file
    from mtpd.lease import leased_gpus

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("mtpd").setLevel(logging.INFO)

    needed = workloads(
        [(load_experiment(path), Layout(results, path.stem)) for path in experiments],
        distillation=distillation,
        size=size,
    )
    on_gpu = any(workload.device == "cuda" for workload in needed)
    # Before torch is imported: it must not look at the devices of others.
    with leased_gpus(1 if on_gpu else 0):
        from mtpd.steps.calibrate import calibrate as measure

        measure(needed, calibration or calibration_file(results), steps)


@app.command()
def schema() -> None:
    """Print the JSON schema of an experiment's YAML."""
    import json

    from mtpd.experiment.settings import Experiment

    typer.echo(json.dumps(Experiment.model_json_schema(), indent=2))


def _open(experiment: Path, results: Path, threads: int) -> Context:
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
    experiment: Path, results: Path, threads: int, kind: Literal["train", "infer"]
) -> Iterator[Context]:
    """Open the experiment, with the GPUs that a job of this ``kind`` uses leased meanwhile.

    A training on several is run by as many processes; this one leaves when they have ended.
    """
    from mtpd.experiment.load import load_experiment
    from mtpd.launch import is_launched, launch
    from mtpd.lease import leased_gpus

    if is_launched():
        yield _open(experiment, results, threads)
        return
    gpus = getattr(load_experiment(experiment).resources, kind).gpus
    # Before torch is imported: it must not look at the devices of others.
    with leased_gpus(gpus):
        if kind == "train" and gpus > 1:
            raise typer.Exit(launch(gpus, sys.argv[1:]))
        yield _open(experiment, results, threads)


if __name__ == "__main__":
    main()
