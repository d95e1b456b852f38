# What all rules share: the experiments, where results lie, and what a job asks for.
import sys
from pathlib import Path

from mtpd.errors import UserError
from mtpd.experiment import jobs
from mtpd.experiment.load import experiment_path, load_experiment
from mtpd.experiment.workflow import put_command_on_path, read_workflow
from mtpd.files import read_json
from mtpd.layout import Layout
from mtpd.selection.chains import CHAIN_PATTERN, NAME_PATTERN, Chain

put_command_on_path()

try:
    WORKFLOW = read_workflow(config)
    FILES = {
        name: experiment_path(name, WORKFLOW.folder) for name in WORKFLOW.experiments
    }
    EXPERIMENTS = {
        name: load_experiment(file, WORKFLOW.data_roots.get(name))
        for name, file in FILES.items()
    }
except UserError as error:
    sys.exit(f"error: {error}")

RESULTS = WORKFLOW.results
PATHS = Layout.pattern(RESULTS)


def experiment_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]


def layout_of(wildcards):
    return Layout(RESULTS, wildcards.experiment)


def experiment_file(wildcards):
    return FILES[wildcards.experiment]


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
        return jobs.own_configs(experiment, wildcards.detector)
    teacher = Chain.parse(wildcards.chain).last.teacher
    return jobs.own_configs(experiment, experiment.student.name, teacher)


def chains_of(wildcards):
    """Chain of every run; waits for the order where the settings do not decide it."""
    experiment = experiment_of(wildcards)
    chains = jobs.chains_of_runs(experiment, {})
    if len(chains) < len(experiment.runs):
        order = checkpoints.order.get(experiment=wildcards.experiment).output.order
        runs = read_json(Path(order))["runs"]
        chains = {name: Chain.parse(runs[name]["chain"]) for name in experiment.runs}
    return chains


def student_before(wildcards):
    """Weights that the stage starts from: the stage before, or the baseline."""
    experiment, chain = experiment_of(wildcards), Chain.parse(wildcards.chain)
    layout = layout_of(wildcards)
    if chain.parent is not None:
        return layout.stage(wildcards.method, str(chain.parent)).weights
    if jobs.starts_afresh(experiment, wildcards.method, chain):
        return []
    return layout.detector(experiment.student.name).weights


def teacher_of(wildcards):
    """Weights of the stage's teacher; a stage may have none."""
    teacher = Chain.parse(wildcards.chain).last.teacher
    return [] if teacher is None else layout_of(wildcards).detector(teacher).weights


def models_of_table(wildcards):
    """Folders of every detector and of every stage that the runs are made of."""
    layout, experiment = layout_of(wildcards), experiment_of(wildcards)
    folders = [layout.detector(name) for name in experiment.detectors]
    for name, chain in chains_of(wildcards).items():
        method = experiment.runs[name].method
        folders += [layout.stage(method, str(prefix)) for prefix in chain.prefixes()]
    return folders


def last_models(wildcards):
    """Folders of what the table evaluates: every detector, and the end of every chain."""
    layout, experiment = layout_of(wildcards), experiment_of(wildcards)
    ends = [
        layout.stage(experiment.runs[name].method, str(chain))
        for name, chain in chains_of(wildcards).items()
    ]
    return [*(layout.detector(name) for name in experiment.detectors), *ends]
