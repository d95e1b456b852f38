"""What Python programs and notebooks use; ``import mtpd`` gives it all, and imports it when asked.

What is here stays: its names, arguments and results change only with a new major version. A wrong
input is a :class:`~mtpd.errors.UserError`, whose text is one line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mtpd.errors import UserError
from mtpd.experiment.load import check_experiment, experiment_file, open_experiment
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import all_members
from mtpd.files import read_json, whole_file
from mtpd.layout import ModelFolder
from mtpd.overview.models import Model, find_model, students
from mtpd.overview.records import read_costs
from mtpd.selection.decisions import Order
from mtpd.settings.runtime import workflow_settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mtpd.detectors.found import Detector

__all__ = ["Experiment", "Model", "Order", "UserError", "costs", "explain", "load", "order", "run"]


class Experiment:
    """An experiment and its results, as far as there are any.

    Args:
        experiment: Path of its YAML file, or its name.
        results: Folder of all results; None: as ``config/config.yaml`` of the working folder says.

    Attributes:
        path: Of the YAML file.
        settings: What the file says, with the defaults of what it leaves out.
        layout: Where the results lie.

    Raises:
        UserError: The experiment is wrong.
    """

    def __init__(self, experiment: str | Path, results: str | Path | None = None) -> None:
        _fresh_settings()
        self.path = experiment_file(experiment)
        self._results = None if results is None else Path(results)
        self.settings, self.layout = open_experiment(self.path, self._results)

    @classmethod
    def create(
        cls,
        name: str,
        settings: Mapping[str, Any],
        *,
        replace: bool = False,
        results: str | Path | None = None,
    ) -> Experiment:
        """Write an experiment's YAML into the working folder's ``config/experiments``, and open it.

        Where ``config/config.yaml`` names another folder of experiments, into that.

        Args:
            name: Of the experiment.
            settings: The keys of its YAML, such as ``data`` and ``student``.
            replace: Whether another experiment of that name may be overwritten.
            results: As for the class.

        Raises:
            UserError: The settings are wrong, or there is another experiment of that name. Nothing
                is written then.
        """
        from mtpd.steps.init import yaml_file

        _fresh_settings()
        path = yaml_file(name)
        check_experiment(path, _plain(settings))
        text = yaml.safe_dump(_plain(settings), sort_keys=False, allow_unicode=True)
        if path.exists() and path.read_text(encoding="utf-8") != text and not replace:
            problem = "is there already, with other settings"
            raise UserError(path, problem, "choose another name, or give replace=True")
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return cls(path, results)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.layout.experiment

    def __repr__(self) -> str:
        return f"mtpd.Experiment({str(self.path)!r})"

    def run(
        self,
        *,
        cores: int | None = None,
        targets: Sequence[str | Path] = (),
        profile: str | Path | None = None,
        dry_run: bool = False,
        show: bool = True,
        options: Sequence[str] = (),
    ) -> Experiment:
        """Make what is missing of the results, by Snakemake; gives this experiment again.

        Args:
            cores: CPU cores that jobs may use together; None: as the profile says, or else all.
            targets: Files to make, such as ``experiment.layout.order``, or rules of the workflow;
                empty: all of the experiment.
            profile: A Snakemake profile: ``gpu``, ``slurm``, or a folder.
            dry_run: Only show what would run, and what it takes.
            show: Whether to show Snakemake's output.
            options: More of Snakemake's options, as on its command line.

        Raises:
            UserError: Jobs have failed; the error names them and their logs.
        """
        from mtpd.steps.workflow import Call, run_workflow

        call = Call(self.path, self._results, cores, targets, profile, dry_run, options)
        run_workflow(call, show)
        return self

    @property
    def results(self) -> pd.DataFrame:
        """The table: a row for every detector, every run, and the mean of a run's seeds.

        AP and its kin are fractions, not rounded: 0.227 is an AP of 22.7.

        Raises:
            UserError: It has not been made yet.
        """
        import pandas as pd

        return pd.read_csv(self._made(self.layout.table("csv")))

    @property
    def costs(self) -> pd.DataFrame:
        """Adaptation costs between all detectors, as :func:`costs` gives them.

        Raises:
            UserError: They have not been computed yet.
        """
        self._made(self.layout.costs)
        found = read_costs(self.layout)
        assert found is not None
        return _matrix(found.costs)

    def order(self, run: str) -> tuple[str, ...]:
        """Names of a run's teachers, first to last; empty: it has none.

        Args:
            run: Name of the run; of one of its seeds ``run~seed``.

        Raises:
            UserError: There is no such run, or its order is not known yet.
        """
        self._check_run(run)
        chains = known_chains(self.settings, self.layout)
        if run not in chains:
            self._made(self.layout.order)
            raise UserError(self.layout.order, f"is out of date for {run}", self._remedy())
        return tuple(stage.teacher for stage in chains[run].stages if stage.teacher)

    def reasons(self, run: str) -> list[str]:
        """Why a run's teachers stand in this order: one sentence for each decision.

        Raises:
            UserError: As for :meth:`order`.
        """
        teachers = self.order(run)
        if not teachers:
            return []
        if not self.layout.order.is_file():  # no run of the experiment needs it
            return explain(order(None, {}, self.settings.student.name, teachers))
        runs = read_json(self.layout.order, self._remedy())["runs"]
        return [step["reason"] for step in runs.get(run, {}).get("trace", [])]

    @property
    def models(self) -> dict[str, Model]:
        """What is trained so far: every detector and every run's student, by name.

        The student's own name is that without teacher. Where a run has the name of a detector, the
        run's is given.
        """
        folders: dict[str, ModelFolder] = {
            name: self.layout.detector(name) for name in self.settings.detectors
        }
        folders |= students(self.settings, self.layout)
        return {
            name: Model(f"{self.name}/{name}", folder.weights, folder.config, self.name)
            for name, folder in folders.items()
            if folder.weights.is_file() and folder.config.is_file()
        }

    def student(self, run: str) -> Model:
        """The student after the last stage of a run; :func:`load` makes a detector of it.

        Raises:
            UserError: There is no such run, or it is not trained yet.
        """
        self._check_run(run)
        found = students(self.settings, self.layout).get(run)
        if found is None or not found.weights.is_file():
            raise UserError(f"{self.name}/{run}", "is not trained yet", self._remedy())
        return self.models[run]

    @property
    def feature_caches(self) -> dict[str, Path]:
        """Feature caches that are there, by detector: what :func:`costs` takes."""
        paths = {name: self.layout.detector(name).features for name in self.settings.detectors}
        return {name: path for name, path in paths.items() if path.is_file()}

    def _check_run(self, run: str) -> None:
        known = all_members(self.settings)
        if run not in known:
            problem = f"there is no run '{run}'"
            raise UserError(self.path, problem, f"it has: {', '.join(known)}")

    def _made(self, path: Path) -> Path:
        if not path.is_file():
            raise UserError(path, "has not been made yet", self._remedy())
        return path

    def _remedy(self) -> str:
        return f"run the experiment first: mtpd.run({self.name!r})"


def run(
    experiment: Experiment | str | Path,
    *,
    results: str | Path | None = None,
    cores: int | None = None,
    targets: Sequence[str | Path] = (),
    profile: str | Path | None = None,
    dry_run: bool = False,
    show: bool = True,
    options: Sequence[str] = (),
) -> Experiment:
    """Open an experiment and run it; see :class:`Experiment` and :meth:`Experiment.run`.

    Raises:
        UserError: The experiment is wrong, or jobs have failed.
    """
    opened = experiment
    if not isinstance(opened, Experiment):
        opened = Experiment(opened, results)
    elif results is not None:
        raise UserError("results", "stands beside an opened experiment", "give it to Experiment")
    return opened.run(
        cores=cores, targets=targets, profile=profile, dry_run=dry_run, show=show, options=options
    )


def costs(
    features: Mapping[str, Path | str | Mapping[int, np.ndarray]], *, ridge: float | None = None
) -> pd.DataFrame:
    """Adaptation costs between detectors: what a linear map of one's features misses of another's.

    Args:
        features: By detector: a feature cache (:attr:`Experiment.feature_caches`), or stride →
            features of shape (images, points, channels), of the same points of the same images.
        ridge: Of the regression, relative to the mean variance of the source's channels; None: as
            in an experiment that does not say.

    Returns:
        Sources as rows, targets as columns; 1 − R² averaged over the strides that all have. NaN
        from a detector to itself.

    Raises:
        UserError: The features do not compare.
    """
    from mtpd.features.cache import load_comparable
    from mtpd.selection.costs import DEFAULT_RIDGE, cost_matrix

    paths = {n: Path(given) for n, given in features.items() if isinstance(given, str | Path)}
    cached = load_comparable(paths)
    arrays = {n: cached.get(n, given) for n, given in features.items()}
    chosen = DEFAULT_RIDGE if ridge is None else ridge
    return _matrix(cost_matrix(arrays, ridge=chosen))  # type: ignore[arg-type]


def order(
    costs: pd.DataFrame | Mapping[str, Mapping[str, float]] | None,
    scores: Mapping[str, float],
    student: str,
    strategy: str | Sequence[str] = "bgs",
    max_teachers: int | None = None,
) -> Order:
    """The order in which teachers should teach; :func:`explain` says why.

    Args:
        costs: ``costs[source][target]``, or what :func:`costs` gives; None for a strategy that
            needs none.
        scores: Of every teacher, and of the student for ``bgs``; the higher the better.
        student: Name of the student.
        strategy: ``bgs``, ``direct``, ``ascending``, ``reversed``, ``minimax``, ``exhaustive``,
            ``bgs-between``, or names of teachers as they are to teach.
        max_teachers: Most teachers of the order; None: all.

    Raises:
        UserError: A score or a cost is missing, or there is no such strategy.
    """
    from mtpd.selection.orders import choose_order
    from mtpd.selection.pool import Pool

    teachers = {name: score for name, score in scores.items() if name != student}
    pool = Pool(student, teachers, _nested(costs), scores.get(student))
    return choose_order(strategy, pool, len(teachers) if max_teachers is None else max_teachers)


def explain(order: Order) -> list[str]:
    """Why an order is as it is: one sentence for each decision."""
    from mtpd.reporting.orders import trace_of

    return [step["reason"] for step in trace_of(order)]


def load(
    model: Model | str | Path,
    *,
    device: str = "auto",
    score_threshold: float | None = None,
    results: str | Path | None = None,
) -> Detector:
    """A detector that is ready to find objects: ``load("demo/bgs").predict([image])``.

    Args:
        model: ``experiment/run``, ``experiment/detector``, an experiment for its best student by
            validation AP, a path of weights or of their folder, or a :class:`Model`.
        device: As torch calls it; ``auto``: the first GPU if there is one.
        score_threshold: Lets it give detections down to this score, if its config does not.
        results: Folder of all results; None: as ``config/config.yaml`` says.

    Raises:
        UserError: There is no such model, it is not trained yet, or it cannot be loaded.
    """
    from mtpd.steps.models import open_detector

    _fresh_settings()
    found = model
    if not isinstance(found, Model):
        found = find_model(found, None if results is None else Path(results))
    return open_detector(found, device, score_threshold)


def _fresh_settings() -> None:
    """Let the settings of the workflow be read anew: a notebook lives for long."""
    workflow_settings.cache_clear()


def _plain(value: Any) -> Any:
    """``value`` as YAML has it: tuples are lists, paths are text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _matrix(nested: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    import pandas as pd

    names = list(nested)
    rows = [[nested[source].get(target, math.nan) for target in names] for source in names]
    table = pd.DataFrame(rows, index=names, columns=names)
    return table.rename_axis(index="source", columns="target")


def _nested(
    costs: pd.DataFrame | Mapping[str, Mapping[str, float]] | None,
) -> Mapping[str, Mapping[str, float]]:
    """``[source][target]`` of either form, without the costs of a detector to itself."""
    if costs is None or isinstance(costs, Mapping):
        return costs or {}
    return {
        str(source): {str(target): float(row[target]) for target in row.index if target != source}
        for source, row in costs.iterrows()
    }
