# What all rules share: the experiments, where results lie, and what a job asks for.
import atexit
import logging
import os
import shlex
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from mtpd.chains import CHAIN_PATTERN, NAME_PATTERN, Chain
from mtpd.display.run import PLAN as PLAN_OF_RECORD
from mtpd.errors import UserError
from mtpd.estimation.estimate import awaited_by_all, estimate, format_estimate
from mtpd.estimation.plan import PLAN, planned_jobs, write_plan
from mtpd.estimation.speed import Calibration, Speed
from mtpd.digests import Digests
from mtpd.experiment import runs
from mtpd.experiment.changes import Changes
from mtpd.experiment.fetching import remote_files, starts_pretrained
from mtpd.experiment.load import experiment_path, open_experiment
from mtpd.experiment.recipes import Recipes, Task
from mtpd.files import read_json
from mtpd.forks import ask
from mtpd.forks.server import start_forks
from mtpd.launch import end_with_the_terminal, hand_termination_on, put_command_on_path
from mtpd.layout import Layout, PaperLayout, calibration_file
from mtpd.papers.changes import has_changed as paper_item_changed
from mtpd.papers.paper import (
    REPORT,
    check_references,
    experiments_of,
    inputs_of,
    items_of as items_of_paper,
    load_paper,
    products_of as products_of_paper,
)
from mtpd.settings.machine import gpus_here
from mtpd.settings.runtime import settings_file, start_workflow
from mtpd.store import Store
from mtpd.zoo.sources import FILE_PATTERN, remote_weights

put_command_on_path()
end_with_the_terminal()
hand_termination_on()

# Snakemake's own prefix, and: a job that is told to end waits until its training has saved its state.
# Signals reach bash too, which would leave at once and take the job's processes with it.
# `log_to FILE COMMAND…` runs a command whose output goes into a file. Snakemake deletes a job's log when it
# tries the job again; under a second name, FILE.1, FILE.2 and so on, the logs of failed attempts stay.
PREFIX = (
    "set -euo pipefail; trap : TERM INT HUP USR1; "
    'log_to() {{ local file="$1" n=1; shift; : > "$file"; '
    'while [ -e "$file.$n" ]; do n=$((n + 1)); done; ln "$file" "$file.$n" 2> /dev/null || true; '
    '"$@" >> "$file" 2>&1; rm -f "$file.$n"; }}; '
)
shell.prefix(PREFIX)

# A project's own Snakefile may have included this one.
CHECKOUT = Path(workflow.current_basedir).parents[1]
SETTINGS = settings_file(CHECKOUT)
try:
    # So far, `config` has what stands behind --config and --configfile.
    WORKFLOW = start_workflow(config, CHECKOUT, is_job=not workflow.is_main_process)
except UserError as error:
    sys.exit(f"error: {error}")

RESULTS = WORKFLOW.results
PATHS = Layout.pattern(RESULTS)
PAPER_PATHS = PaperLayout(RESULTS)

STORE = Store(WORKFLOW.store_for(RESULTS))
DIGESTS = Digests(STORE.folder / "digests.json")

# Content decides what runs again (mtpd/experiment/changes.py). Times do not: inputs are ancient while
# nothing has changed for a job. One that has changed is given this file, which is newer than any
# result. It lies where the jobs' machines see it.
CHANGED = Path(".snakemake", f"mtpd-changed-{os.getpid()}")

# What has changed, by experiment, as far as jobs have asked.
CHANGES = {}

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


def asks(kind, resource):
    """What a job of `kind` (train, infer, small, or a function of wildcards) asks for of `resource`."""

    def amount(wildcards):
        chosen = kind if isinstance(kind, str) else kind(wildcards)
        return getattr(getattr(experiment_of(wildcards).resources, chosen), resource)

    return amount


def is_taken_over(wildcards):
    """Whether a detector has weights already, so that its training only copies them."""
    return experiment_of(wildcards).detector(wildcards.detector).weights is not None


def kind_of_training(wildcards):
    """Weights that are given need as much memory as an evaluation; there is nothing to train."""
    return "infer" if is_taken_over(wildcards) else "train"


def gpus_of_training(wildcards):
    return 0 if is_taken_over(wildcards) else asks("train", "gpus")(wildcards)


def resources_of(kind):
    """Memory, minutes and GPUs of a job of `kind`."""
    asked = {"mem_mb": asks(kind, "mem_mb"), "runtime": asks(kind, "runtime")}
    return asked if kind == "small" else {**asked, "gpu": asks(kind, "gpus")}


def changes_of(name):
    """What has changed for the jobs of an experiment since their results were made."""
    if name not in CHANGES:
        layout = Layout(RESULTS, name)
        recipes = Recipes(experiment_named(name), layout, WORKFLOW.zoo, DIGESTS)
        CHANGES[name] = Changes(recipes, STORE, DIGESTS)
    return CHANGES[name]


def task_of(name, wildcards):
    """The job of the rule `name` that these wildcards belong to."""
    keys = ("method", "detector", "chain")
    return Task(name, tuple(wildcards[key] for key in keys if key in wildcards.keys()))


def has_changed(name, wildcards):
    """Whether the results of a job of the rule `name` are made from something else today."""
    # The processes that run single jobs need not know.
    if not workflow.is_main_process:
        return False
    try:
        return bool(changes_of(wildcards.experiment).of(task_of(name, wildcards)))
    except UserError:
        return True  # the job says what is wrong, in its log


def is_steady(name, wildcards):
    """Whether a job of the rule `name` has all its results, and nothing has changed for it."""
    if not workflow.is_main_process:
        return True
    recipes = changes_of(wildcards.experiment).recipes
    is_whole = recipes.of(task_of(name, wildcards)).is_whole
    return is_whole and not has_changed(name, wildcards)


def steady(name, files):
    """`files` as input of rule `name`, whose times count for nothing."""

    def given(wildcards):
        found = files(wildcards)
        # A job that is to run hands that on to the next ones by inputs that count. Snakemake then
        # asks for no other reason of theirs, not even whether their results are there.
        return ancient(found) if is_steady(name, wildcards) else found

    return given


def needs(name, role):
    """The input of a job of the rule `name` that plays `role` in its recipe, if it has one."""

    def file(wildcards):
        recipes = changes_of(wildcards.experiment).recipes
        return recipes.of(task_of(name, wildcards)).path(role) or []

    return steady(name, file)


def needs_all(name):
    """All files that count in the recipe of a job of the rule `name`."""

    def files(wildcards):
        recipe = changes_of(wildcards.experiment).recipes.of(task_of(name, wildcards))
        return [source.path for source in recipe.inputs.values()]

    return steady(name, files)


def changes(name):
    """A reason to run a job of the rule `name`, where its results are not what they were."""
    return lambda wildcards: [CHANGED] if has_changed(name, wildcards) else []


def say_changes():
    """Say why jobs run again, and which results no record vouches for."""
    for name, found in CHANGES.items():
        for task, reasons in found.reasons().items():
            shown = "; ".join(reasons[:3]) + (" …" if len(reasons) > 3 else "")
            print(f"changed: {name}: {task}: {shown}", file=sys.stderr)
    unrecorded = sum(len(found.unrecorded) for found in CHANGES.values())
    if unrecorded:
        print(
            f"{unrecorded} results were made by an earlier version, which recorded less: they are "
            "taken to be made from what the experiments say today",
            file=sys.stderr,
        )


def is_kept(name, task):
    """Whether a job of an experiment will take its results from the store."""
    # The data step takes no time that counts, and what it reads may be large.
    if task == Task("data") or not STORE.folder.is_dir():
        return False
    return changes_of(name).is_kept(task)


def awaited(experiment, name, chains):
    """What Snakemake will plan once the order of an experiment is known, if it has these chains."""
    planned = list(workflow.dag.jobs)
    everything = awaited_by_all(experiment, name, chains)
    # `project` is the rule `all` of a project's own Snakefile (workflow/templates).
    whole = any(job.rule.name in ("all", "project") for job in planned)
    if name in WORKFLOW.experiments and whole:
        yield from everything
    elif any(
        job.rule.name in ("results", "report") and job.wildcards.experiment == name
        for job in planned
    ):
        yield from (task for task in everything if task.rule == "evaluate_stage")
    for job in planned:
        if job.rule.name in ("paper_table", "paper_figure"):
            key = f"{job.rule.name.removeprefix('paper_')}s.{job.wildcards.item}"
            sources = paper_sources(
                key, lambda other: chains if other == name else decided_chains_of(other)
            )
            yield from (made.task for owner, made in sources if owner == name)


def say_idle_gpus():
    """Say which experiments leave the GPU of this machine unused."""
    for name in WORKFLOW.experiments:
        if gpus_here() and not experiment_named(name).resources.train.gpus:
            text = (
                "a GPU is here, and resources.train.gpus is 0: it will train on the CPU"
            )
            print(f"{name}: {text}", file=sys.stderr)


def are_forks():
    """Whether jobs are forks of one process; those of a cluster cannot be."""
    return WORKFLOW.forks_jobs and workflow.local_exec


def estimated():
    """What the planned jobs take, and by which speeds."""
    jobs = planned_jobs(workflow.dag, is_kept)
    names = dict.fromkeys(job.experiment for job in jobs if job.experiment)
    experiments = [(experiment_named(name), Layout(RESULTS, name)) for name in names]
    speed = Speed(Calibration.load(calibration_file(RESULTS)), forked=are_forks())
    return estimate(jobs, experiments, speed, awaited), speed


def say_estimate():
    """Say what the planned jobs take, or give them to the command that asked for them."""
    if PLAN in os.environ:
        write_plan(Path(os.environ[PLAN]), planned_jobs(workflow.dag, is_kept))
        return
    estimates, speed = estimated()
    print(f"\n{format_estimate(estimates, speed)}", file=sys.stderr)


class Planning(logging.Filter):
    """Lets the display know what the planned jobs take, when there are others than before."""

    n_jobs = 0

    def filter(self, record):
        # Snakemake's graph may be read here: jobs are started by the thread that changes it.
        if getattr(record, "event", None) == LogEvent.JOB_STARTED:
            if len(workflow.dag) != self.n_jobs:
                self.n_jobs = len(workflow.dag)
                try:
                    setattr(record, PLAN_OF_RECORD, estimated()[0])
                except Exception as error:
                    # There is no time left to show then; the run itself goes on.
                    logger.debug(f"no estimate: {error}")
        return True


def end_planning():
    """Record what was found out; a dry run also says what has changed, and what it takes."""
    if workflow.dryrun:
        say_idle_gpus()
        say_changes()
        # Without a scheduler Snakemake has stopped before it knew all jobs.
        if workflow.scheduler is not None:
            try:
                say_estimate()
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
    else:
        for found in CHANGES.values():
            found.adopt()
    if STORE.folder.is_dir():
        DIGESTS.save()


onstart:
    # CUDA does not survive a fork, and jobs on other machines cannot be forks of anything here.
    if are_forks():
        if ask.ADDRESS not in os.environ:
            os.environ[ask.ADDRESS] = start_forks()
        command = shlex.join([sys.executable, "-I", "-S", ask.__file__])
        shell.prefix(PREFIX + 'mtpd() {{ %s "$@"; }}; ' % command)


if workflow.is_main_process:
    CHANGED.parent.mkdir(exist_ok=True)
    CHANGED.touch()
    atexit.register(CHANGED.unlink, missing_ok=True)
    atexit.register(end_planning)
    # `--logger mtpd`, which the default profile names.
    if "mtpd" in workflow.output_settings.log_handler_settings:
        logger.addFilter(Planning())
    elif find_spec("snakemake_logger_plugin_mtpd") is None:
        remedy = "run `pip install -e .` in the checkout once more"
        print(
            f"the display of runs is missing from an older installation: {remedy}",
            file=sys.stderr,
        )


@cache
def decided_chains_of(name):
    """Chain of every run and seed whose teachers the settings alone say."""
    return runs.chains_of_runs(experiment_named(name), {})


def chains_of(name):
    """Chain of every run and seed; waits for the order where the settings do not decide."""
    experiment = experiment_named(name)
    chains = decided_chains_of(name)
    if runs.has_undecided_orders(experiment):
        order = checkpoints.order.get(experiment=name).output.order
        decided = read_json(Path(order))["runs"]
        chains = {
            member: Chain.parse(decided[member]["chain"])
            for member in runs.all_members(experiment)
        }
    return chains


def fetched_weights(wildcards):
    """The note that weights were fetched which a detector is, or starts from."""
    remote = remote_weights(experiment_of(wildcards).detector(wildcards.detector))
    if remote is None:
        return []
    FETCHED[remote.file] = remote
    return layout_of(wildcards).fetched(remote.file)


def remote_file(wildcards):
    """The file of the cache that is called so, whichever experiment names it."""
    if wildcards.file in FETCHED:
        return FETCHED[wildcards.file]
    for name in known_experiments():
        files = remote_files(experiment_named(name))
        if wildcards.file in files:
            return files[wildcards.file]
    sys.exit(f"error: {wildcards.file}: no experiment names this file")


def pretrained_files(wildcards):
    """The note that the files were fetched which parts of a detector start from, if it is trained."""
    experiment, layout = experiment_of(wildcards), layout_of(wildcards)
    name = getattr(wildcards, "detector", experiment.student.name)
    if hasattr(wildcards, "chain"):
        chain = Chain.parse(wildcards.chain)
        is_trained = runs.starts_afresh(experiment, wildcards.method, chain)
    else:
        detector = experiment.detector(name)
        is_trained = detector.weights is None and detector.start_from is None
    if is_trained and starts_pretrained(experiment, name):
        return layout.detector(name).pretrained
    return []


def table_metrics(wildcards):
    """Evaluations that the table shows."""
    name = wildcards.experiment
    return [model.metrics for model in evaluated_models_of(name, chains_of(name))]


def table_histories(wildcards):
    """Trainings that the table counts."""
    name = wildcards.experiment
    return [model.history for model in models_of(name, chains_of(name))]


def report_inputs(wildcards):
    """What the report is made from. Detections are named by their folder, which is what jobs make."""
    name, layout = wildcards.experiment, layout_of(wildcards)
    experiment, chains = experiment_named(name), chains_of(name)
    models, evaluated = models_of(name, chains), evaluated_models_of(name, chains)
    return [
        *(model.weights for model in models),
        *(model.history for model in models),
        *(model.metrics for model in evaluated),
        *(model.detections for model in evaluated),
        *([layout.order] if runs.has_undecided_orders(experiment) else []),
        *([layout.costs] if runs.order_needs_costs(experiment) else []),
    ]


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
        layout.report,
        *model_products_of(name, chains_of(name)),
    ]


def paper_sources(key, chains_of_experiment):
    """What a table or figure of the papers is made from; `key` is such as tables.mtpd_best."""
    names = experiments_of(paper(), [key])
    experiments = {name: experiment_named(name) for name in names}
    chains = {name: chains_of_experiment(name) for name in names}
    return inputs_of(paper(), key, RESULTS, experiments, chains)


def paper_changed(key):
    """Whether a table or figure of the papers is not what it would be today."""
    if not workflow.is_main_process:
        return False
    sources = paper_sources(key, chains_of)
    return paper_item_changed(paper(), key, RESULTS, sources, changes_of, DIGESTS)


def paper_needs(kind):
    """Inputs of a `kind` (tables, figures) of the papers; as `steady` gives them."""

    def files(wildcards):
        key = f"{kind}.{wildcards.item}"
        paths = [made.path for _, made in paper_sources(key, chains_of)]
        return paths if paper_changed(key) else ancient(paths)

    return files


def paper_changes(kind):
    """As `changes`, for a `kind` (tables, figures) of the papers."""
    return lambda wildcards: (
        [CHANGED] if paper_changed(f"{kind}.{wildcards.item}") else []
    )


def paper_report_changes():
    """As `changes`, for the page of all tables and figures, which shows what their files say."""
    is_main = workflow.is_main_process
    if is_main and paper_item_changed(
        paper(), REPORT, RESULTS, [], changes_of, DIGESTS
    ):
        return [CHANGED]
    return []


def paper_models():
    """What the papers' tables and figures are made from and need not wait for an order."""
    return sorted(
        {
            made.path
            for key in paper().items
            for _, made in paper_sources(key, decided_chains_of)
        }
    )
