# What all rules share: the experiments, where results lie, and what a job asks for.
import atexit
import sys
from functools import cache
from pathlib import Path

from mtpd.chains import CHAIN_PATTERN, NAME_PATTERN, Chain
from mtpd.errors import UserError
from mtpd.estimation.estimate import estimate, format_estimate
from mtpd.estimation.speed import Calibration, Speed
from mtpd.experiment import dependencies, runs
from mtpd.experiment.load import experiment_path, open_experiment
from mtpd.files import read_json
from mtpd.launch import put_command_on_path
from mtpd.layout import Layout, PaperLayout, calibration_file
from mtpd.papers.paper import (
    check_references,
    experiments_of,
    inputs_of,
    load_paper,
    products_of as products_of_paper,
)
from mtpd.settings.runtime import settings_file, start_workflow
from mtpd.zoo.sources import FILE_PATTERN, remote_weights

put_command_on_path()

# Snakemake's own prefix, and: a job that is told to end waits until its training has saved its state.
# SIGTERM reaches bash too, which would leave at once and take the job's processes with it.
shell.prefix("set -euo pipefail; trap : TERM USR1; ")

CHECKOUT = Path(workflow.basedir)
SETTINGS = settings_file(CHECKOUT)
try:
    # So far, `config` has what stands behind --config and --configfile.
    WORKFLOW = start_workflow(config, CHECKOUT, is_job=not workflow.is_main_process)
except UserError as error:
    sys.exit(f"error: {error}")

RESULTS = WORKFLOW.results
PATHS = Layout.pattern(RESULTS)
PAPER_PATHS = PaperLayout(RESULTS)

# Files to fetch, by name, that jobs have asked for so far.
FETCHED = {}


@cache
def experiment_named(name):
    """An experiment, read when it is first asked for; a wrong one ends Snakemake in one line."""
    try:
        return open_experiment(experiment_path(name, WORKFLOW.folder))[0]
    except UserError as error:
        sys.exit(f"error: {error}")


@cache
def paper():
    """The papers' tables and figures, whose models must be among the experiments' own."""
    try:
        tables = load_paper(WORKFLOW.paper_tables)
        named = {name: experiment_named(name) for name in experiments_of(tables)}
        check_references(WORKFLOW.paper_tables, tables, named)
    except UserError as error:
        sys.exit(f"error: {error}")
    return tables


def known_experiments():
    """Names of the experiments that were asked for, and then of the papers'."""
    yield from WORKFLOW.experiments
    if WORKFLOW.paper_tables.is_file():
        yield from experiments_of(paper())


def experiment_of(wildcards):
    return experiment_named(wildcards.experiment)


def layout_of(wildcards):
    return Layout(RESULTS, wildcards.experiment)


def experiment_file(wildcards):
    return experiment_path(wildcards.experiment, WORKFLOW.folder)


def asks(kind, resource):
    """What a job of `kind` (train, infer, small) asks for of `resource`."""

    def amount(wildcards):
        return getattr(getattr(experiment_of(wildcards).resources, kind), resource)

    return amount


def settings(function, *names):
    """Settings that a job depends on: it runs again when one of them changes."""

    def of(wildcards):
        values = [getattr(wildcards, name) for name in names]
        values = [Chain.parse(v) if n == "chain" else v for n, v in zip(names, values)]
        return function(experiment_of(wildcards), *values)

    return of


def own_configs(wildcards):
    """Configs of the detectors that a job builds, as far as they are files of the user's."""
    experiment = experiment_of(wildcards)
    if hasattr(wildcards, "detector"):
        return dependencies.own_configs(experiment, wildcards.detector)
    teacher = Chain.parse(wildcards.chain).last.teacher
    return dependencies.own_configs(experiment, experiment.student.name, teacher)


def decided_chains_of(name):
    """Chain of every run and seed whose teachers the settings alone say."""
    return runs.chains_of_runs(experiment_named(name), {})


def chains_of(name):
    """Chain of every run and seed; waits for the order where the settings do not decide."""
    experiment = experiment_named(name)
    chains = runs.chains_of_runs(experiment, {})
    members = runs.all_members(experiment)
    if len(chains) < len(members):
        order = checkpoints.order.get(experiment=name).output.order
        decided = read_json(Path(order))["runs"]
        chains = {member: Chain.parse(decided[member]["chain"]) for member in members}
    return chains


def own_weights(wildcards):
    """Weights that the user has given for a detector: the file, or the word that it was fetched."""
    detector = experiment_of(wildcards).detector(wildcards.detector)
    remote = remote_weights(detector)
    if remote is None:
        return detector.weights or detector.start_from or []
    FETCHED[remote.file] = remote
    # Fetched again, the file is the same: no reason to train anew.
    return ancient(layout_of(wildcards).fetched(remote.file))


@cache
def say_estimate(names):
    """At a dry run, say at its end what the jobs that are left take; gives no input."""
    if workflow.dryrun:
        speed = Speed(Calibration.load(calibration_file(RESULTS)))
        estimates = [
            estimate(experiment_named(name), Layout(RESULTS, name), speed)
            for name in names
        ]
        atexit.register(
            print, f"\n{format_estimate(estimates, speed)}", file=sys.stderr
        )
    return []


def remote_file(wildcards):
    """The file of the cache that is called so, whichever experiment names it."""
    if wildcards.file in FETCHED:
        return FETCHED[wildcards.file]
    for name in known_experiments():
        files = dependencies.remote_files(experiment_named(name))
        if wildcards.file in files:
            return files[wildcards.file]
    sys.exit(f"error: {wildcards.file}: no experiment names this file")


def pretrained_files(wildcards):
    """The word that what a training starts from is in the cache: a detector's or a stage's."""
    experiment, layout = experiment_of(wildcards), layout_of(wildcards)
    name = getattr(wildcards, "detector", experiment.student.name)
    if hasattr(wildcards, "chain"):
        chain = Chain.parse(wildcards.chain)
        is_trained = runs.starts_afresh(experiment, wildcards.method, chain)
    else:
        detector = experiment.detector(name)
        is_trained = detector.weights is None and detector.start_from is None
    if is_trained and dependencies.starts_pretrained(experiment, name):
        return ancient(layout.detector(name).pretrained)
    return []


def student_before(wildcards):
    """Weights that the stage starts from: the stage before, or the baseline."""
    experiment, chain = experiment_of(wildcards), Chain.parse(wildcards.chain)
    layout = layout_of(wildcards)
    if chain.parent is not None:
        return layout.stage(wildcards.method, str(chain.parent)).weights
    if runs.starts_afresh(experiment, wildcards.method, chain):
        return []
    return layout.detector(experiment.student.name).weights


def teacher_of(wildcards):
    """Weights of the stage's teacher; a stage may have none."""
    teacher = Chain.parse(wildcards.chain).last.teacher
    return [] if teacher is None else layout_of(wildcards).detector(teacher).weights


def pair_of(wildcards):
    """The check that the method's losses work between the stage's teacher and the student."""
    teacher = Chain.parse(wildcards.chain).last.teacher
    return (
        [] if teacher is None else layout_of(wildcards).pair(wildcards.method, teacher)
    )


def models_of(name, chains):
    """Folders of every detector of an experiment and of every stage that `chains` are made of."""
    layout, experiment = Layout(RESULTS, name), experiment_named(name)
    folders = [layout.detector(detector) for detector in experiment.detectors]
    for member, chain in chains.items():
        method = runs.run_of(experiment, member).method
        folders += [layout.stage(method, str(prefix)) for prefix in chain.prefixes()]
    return folders


def evaluated_models_of(name, chains):
    """Folders of what the table shows: every detector, and the end of every chain."""
    layout, experiment = Layout(RESULTS, name), experiment_named(name)
    ends = [
        layout.stage(runs.run_of(experiment, member).method, str(chain))
        for member, chain in chains.items()
    ]
    return [*(layout.detector(detector) for detector in experiment.detectors), *ends]


def pairs_of(name):
    """Checks of every method with every teacher, known before any order is."""
    layout = Layout(RESULTS, name)
    return [layout.pair(*pair) for pair in runs.pairs(experiment_named(name))]


def model_products_of(name, chains):
    """What is kept of the models of an experiment, as far as `chains` are known."""
    models, evaluated = models_of(name, chains), evaluated_models_of(name, chains)
    return [
        *(model.weights for model in models),
        *(model.history for model in models),
        *(model.metrics for model in evaluated),
        *(model.detections for model in evaluated),
    ]


def decided_products_of(name):
    """Products that need not wait for an order: all that is known from the start."""
    return [*pairs_of(name), *model_products_of(name, decided_chains_of(name))]


def products_of(name):
    """What a finished experiment consists of; a part that was deleted is made again."""
    layout = Layout(RESULTS, name)
    needs_costs = runs.order_needs_costs(experiment_named(name))
    figures = ["val_ap", "costs"] if needs_costs else ["val_ap"]
    return [
        *(layout.table(kind) for kind in ("csv", "md", "tex")),
        *(layout.figure(figure, kind) for figure in figures for kind in ("png", "pdf")),
        *model_products_of(name, chains_of(name)),
    ]


def paper_inputs(key):
    """What a table or figure of the papers is made from; `key` is such as tables.mtpd_best."""
    names = experiments_of(paper(), [key])
    experiments = {name: experiment_named(name) for name in names}
    chains = {name: chains_of(name) for name in names}
    return inputs_of(paper(), key, RESULTS, experiments, chains)


def paper_models():
    """What the papers' tables and figures are made from and need not wait for an order."""
    names = experiments_of(paper())
    experiments = {name: experiment_named(name) for name in names}
    chains = {name: decided_chains_of(name) for name in names}
    return sorted(
        {
            file
            for key in paper().items
            for file in inputs_of(paper(), key, RESULTS, experiments, chains)
        }
    )
