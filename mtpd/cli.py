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
zoo = typer.Typer(help="Published weights: what there is, and the cache.", no_args_is_help=True)
app.add_typer(zoo, name="zoo")

data = typer.Typer(help="Prepare data sets, and check them.", no_args_is_help=True)
app.add_typer(data, name="data")

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
DataRoot = Annotated[
    Path | None, typer.Option(help="Takes the place of the experiment's data.root.")
]

Words = Annotated[list[str], typer.Argument(help="All must stand in config or weights.")]
MinBoxAP = Annotated[float | None, typer.Option(help="Least box AP in percent.")]
MinMaskAP = Annotated[float | None, typer.Option(help="Least mask AP in percent.")]

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


@data.command()
def prepare(
    experiment: ExperimentFile,
    results: Results = DEFAULT_RESULTS,
    data_root: DataRoot = None,
) -> None:
    """Check an experiment's data set for use, converting or generating it where needed."""
    from mtpd.experiment.load import load_experiment
    from mtpd.layout import Layout
    from mtpd.steps.data import prepare_data

    _log_info()
    settings = load_experiment(experiment, data_root)
    prepare_data(settings, Layout(results, experiment.stem))


@data.command("check")
def check_data_sets(
    experiments: Annotated[
        list[Path] | None, typer.Argument(help="YAML files whose data sets are looked at.")
    ] = None,
    coco: Annotated[Path | None, typer.Option(help="Folder of COCO 2017.")] = None,
    crowdhuman: Annotated[Path | None, typer.Option(help="Folder of CrowdHuman.")] = None,
    argoverse_hd: Annotated[Path | None, typer.Option(help="Folder of Argoverse-HD.")] = None,
    data_root: DataRoot = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode images whole: finds damage inside PNGs.")
    ] = False,
    show: Annotated[int, typer.Option(min=0, help="Problems to print for each data set.")] = 10,
    report: Annotated[Path | None, typer.Option(help="File for all problems.")] = None,
) -> None:
    """Say what is there of data sets and list everything that is wrong; changes nothing.

    Data sets given by their folder must be whole, as published; an experiment's may be a part.
    Exit status 1: something is wrong.
    """
    from mtpd.experiment.load import load_experiment
    from mtpd.reporting.data_check import image_progress, print_data_report, write_list
    from mtpd.steps.data_check import check_data, published_target, targets_of

    folders = {"COCO 2017": coco, "CrowdHuman": crowdhuman, "Argoverse-HD": argoverse_hd}
    targets = [published_target(name, root) for name, root in folders.items() if root is not None]
    targets += targets_of((p.stem, load_experiment(p, data_root).data) for p in experiments or [])
    if not targets:
        raise UserError(
            "mtpd data check", "names no data set", "give experiments, or --coco FOLDER"
        )
    with image_progress() as progress:
        reports = [check_data(target, decode=decode, progress=progress) for target in targets]
    for found in reports:
        print_data_report(found, show)
    if report is not None:
        write_list(report, reports)
    if any(found.problems for found in reports):
        raise typer.Exit(1)


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
def cost_matrix(experiment: ExperimentFile, results: Results = DEFAULT_RESULTS) -> None:
    """Draw the adaptation costs and the orders that they led to."""
    from mtpd.experiment.jobs import runs_by_costs
    from mtpd.experiment.load import load_experiment
    from mtpd.layout import Layout
    from mtpd.steps.cost_matrix import write_cost_matrix

    settings, layout = load_experiment(experiment), Layout(results, experiment.stem)
    paths = [layout.figure("costs", kind) for kind in ("png", "pdf")]
    write_cost_matrix(settings, layout, runs_by_costs(settings), layout.experiment, paths)


@app.command()
def paper_tables(
    tables: Annotated[
        Path, typer.Option(help="YAML file of the papers' tables and figures.")
    ] = Path("config/paper_tables.yaml"),
    experiments_folder: Annotated[
        Path, typer.Option(help="Folder of the experiments' YAML files.")
    ] = Path("config/experiments"),
    results: Results = DEFAULT_RESULTS,
    item: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, such as tables.mtpd_best; may stand several times."),
    ] = None,
) -> None:
    """Write the papers' tables and figures; what is not measured yet is marked as missing."""
    from mtpd.experiment.paper import choose_items, load_experiments, load_paper
    from mtpd.steps.paper import write_paper

    paper = load_paper(tables)
    items = choose_items(tables, paper, item)
    experiments = load_experiments(tables, paper, experiments_folder, items)
    for path in write_paper(paper, experiments, results, items):
        typer.echo(path)


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
def pretrained(
    experiment: ExperimentFile, detector: DetectorName, results: Results = DEFAULT_RESULTS
) -> None:
    """Fetch the published weights that parts of a detector start from."""
    from mtpd.experiment.load import load_experiment
    from mtpd.layout import Layout
    from mtpd.steps.pretrained import fetch_pretrained
    from mtpd.zoo.settings import zoo_settings

    _log_info()
    layout = Layout(results, experiment.stem)
    fetch_pretrained(load_experiment(experiment), detector, layout, zoo_settings())


@zoo.command("list")
def list_zoo(
    problems: Annotated[
        bool, typer.Option("--problems", help="What is wrong in MMDetection's metafiles instead.")
    ] = False,
) -> None:
    """List the detectors that MMDetection publishes, best first."""
    from mtpd.reporting.zoo import print_records
    from mtpd.zoo.metafiles import published, search

    metafiles = published()
    if problems:
        for problem in metafiles.problems:
            typer.echo(problem)
        return
    print_records(search(metafiles.records))
    count = len(metafiles.problems)
    typer.echo(f"{count} entries are mended or left out: mtpd zoo list --problems", err=True)


@zoo.command("search")
def search_zoo(words: Words, min_box_ap: MinBoxAP = None, min_mask_ap: MinMaskAP = None) -> None:
    """List the detectors that fit words and figures, best first."""
    from mtpd.reporting.zoo import print_records
    from mtpd.zoo.metafiles import published, search

    found = search(published().records, words, min_box_ap, min_mask_ap)
    if not found:
        raise UserError("mtpd zoo search", "nothing fits", "give fewer words or lower figures")
    print_records(found)


@zoo.command()
def show(config: Annotated[str, typer.Argument(help="Such as mmdet::folder/name.py.")]) -> None:
    """Show what is published of one config, and whether its weights are in the cache."""
    from mtpd.reporting.zoo import print_record
    from mtpd.zoo.metafiles import published
    from mtpd.zoo.settings import zoo_settings

    record = published().records.get(config)
    if record is None:
        remedy = "look for it with `mtpd zoo search`"
        raise UserError(config, "is no config of MMDetection's metafiles", remedy)
    print_record(record, zoo_settings())


@zoo.command("fetch")
def fetch_zoo(
    names: Annotated[
        list[str], typer.Argument(help="Experiments' YAML files, mmdet:: configs, or addresses.")
    ],
    sha256: Annotated[
        str | None, typer.Option(help="Start of the SHA-256 of the one file that is named.")
    ] = None,
    note: Annotated[
        Path | None, typer.Option(help="Where to write where the one file that is named lies.")
    ] = None,
) -> None:
    """Fetch weights into the cache: where there is a network, for where there is none."""
    _log_info()
    from mtpd.steps.fetch import fetch_named

    for path in fetch_named(names, sha256, note):
        typer.echo(path)


@app.command()
def schema() -> None:
    """Print the JSON schema of an experiment's YAML."""
    import json

    from mtpd.experiment.settings import Experiment

    typer.echo(json.dumps(Experiment.model_json_schema(), indent=2))


def _log_info() -> None:
    """Write what the step tells to the log, not only its warnings."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


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
