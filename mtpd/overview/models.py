"""Which files a person means who names a model: a path, or a name of an experiment's.

``MODEL`` is one of these::

    results/demo/stages/cwd/a+b    a folder with config.py and student.pth or model.pth
    weights/mine.pth               the weights themselves; config.py lies beside them, or is given
    student.onnx                   what ``mtpd export`` has written
    demo/bgs                       a run of an experiment: its student after the last stage
    demo/r18_w16                   a detector of an experiment
    demo                           an experiment: its best student by validation AP
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtpd.errors import UserError
from mtpd.experiment.load import experiment_file, open_experiment
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import all_members, run_of
from mtpd.files import in_full
from mtpd.layout import Layout, ModelFolder
from mtpd.overview.records import read_metrics
from mtpd.settings.experiment import Experiment

ONNX = ".onnx"
CHOSEN_BY = "bbox_mAP"
"""The figure of the validation split by which the best student is the best."""


@dataclass(frozen=True)
class Model:
    """The files of a model.

    Attributes:
        name: What a person calls it, such as ``demo/bgs``.
        weights: The checkpoint, or the ONNX file.
        config: MMEngine config of the detector; None for an ONNX file, which needs none.
        experiment: Name of the experiment that it was named by; None: it was named by a path.
        remark: What was chosen where the name left a choice, in a sentence; empty: it left none.
    """

    name: str
    weights: Path
    config: Path | None
    experiment: str | None = None
    remark: str = ""

    @property
    def file_name(self) -> str:
        """Its name as a part of file names, without a suffix."""
        if self.experiment is not None:
            return self.name.replace("/", "-")
        generic = self.weights.stem in ("student", "model")
        return self.weights.absolute().parent.name if generic else self.weights.stem


def find_model(given: str | Path, results: Path | None = None, config: Path | None = None) -> Model:
    """The files that ``given`` means. Nothing is loaded.

    A path that exists comes before a name.

    Args:
        given: As the module says.
        results: Folder of all results; None: as ``config/config.yaml`` says.
        config: MMEngine config in place of the ``config.py`` beside the weights.

    Raises:
        UserError: There is no such model, or it has not been trained yet.
    """
    path = Path(given)
    if path.exists():
        return _by_path(path, config)
    if config is not None or _looks_like_a_path(path):
        remedy = "give a folder with config.py and its weights, a weights file, or experiment/run"
        raise UserError(given, f"there is no such file or folder{in_full(path)}", remedy)
    experiment, _, part = str(given).partition("/")
    if not experiment_file(experiment).is_file():
        raise UserError(
            given,
            f"is no path, and there is no experiment '{experiment}'",
            "give a folder with config.py and its weights, a weights file, or experiment/run",
        )
    opened = open_experiment(experiment, results)
    return _by_name(str(given), part, *opened) if part else _best_student(*opened)


def students(experiment: Experiment, layout: Layout) -> dict[str, ModelFolder]:
    """The student without teacher, and the last stage of every run whose order is known.

    By name, as in ``experiment/name``. Whether they are trained is another matter.
    """
    student = experiment.student.name
    chains = known_chains(experiment, layout)
    last = {
        name: layout.stage(run_of(experiment, name).method, str(chain))
        for name, chain in chains.items()
    }
    return {student: layout.detector(student), **last}


def _looks_like_a_path(path: Path) -> bool:
    return path.is_absolute() or len(path.parts) > 2 or path.suffix in (".pth", ".pt", ONNX)


def _by_path(path: Path, config: Path | None) -> Model:
    if path.is_file():
        if path.suffix == ONNX:
            if config is not None:
                raise UserError(path, "is ONNX, which needs no config", "leave --config away")
            return Model(str(path), path, None)
        return Model(str(path), path, _config_of(path.parent, path, config))
    found = [file for file in _checkpoints(path) if file.is_file()]
    if not found:
        names = " nor ".join(file.name for file in _checkpoints(path))
        remedy = "give the weights file itself, or experiment/run"
        raise UserError(path, f"has neither {names}", remedy)
    return Model(str(path), found[0], _config_of(path, path, config))


def _checkpoints(folder: Path) -> Iterator[Path]:
    """Where the weights of a results folder may lie."""
    yield folder / "student.pth"
    yield folder / "model.pth"


def _config_of(folder: Path, given: Path, config: Path | None) -> Path:
    found = ModelFolder(folder, given).config if config is None else config
    if not found.is_file():
        problem = f"there is no config {found}"
        raise UserError(given, problem, "give the detector's config by --config FILE")
    return found


def _by_name(given: str, part: str, experiment: Experiment, layout: Layout) -> Model:
    """The detector or the run called ``part``."""
    is_run, is_detector = part in all_members(experiment), part in experiment.detectors
    if is_run and is_detector:
        problem = "is the name of a run and of a detector"
        raise UserError(given, problem, f"give the folder below {layout.root}")
    if is_detector:
        return _trained(given, layout.detector(part), layout)
    if not is_run:
        known = ", ".join((*all_members(experiment), *experiment.detectors))
        problem = f"the experiment has no run or detector '{part}'"
        raise UserError(given, problem, f"it has: {known}")
    chains = known_chains(experiment, layout)
    if part not in chains:
        raise UserError(given, "its order of teachers is not known yet", _run(layout))
    stage = layout.stage(run_of(experiment, part).method, str(chains[part]))
    return _trained(given, stage, layout, f"{given} is the student after {chains[part]}")


def _trained(name: str, folder: ModelFolder, layout: Layout, remark: str = "") -> Model:
    if not (folder.weights.is_file() and folder.config.is_file()):
        problem = f"is not trained yet ({folder.weights} is missing)"
        raise UserError(name, problem, _run(layout))
    return Model(name, folder.weights, folder.config, layout.experiment, remark)


def _best_student(experiment: Experiment, layout: Layout) -> Model:
    """The student of the highest validation AP; of equal ones the first that the table has."""
    scores = {}
    folders = students(experiment, layout)
    for name, folder in folders.items():
        metrics = read_metrics(folder) if folder.weights.is_file() else None
        score = None if metrics is None else metrics.splits.get("val", {}).get(CHOSEN_BY)
        if score is not None:
            scores[name] = score
    if not scores:
        raise UserError(layout.experiment, "has no evaluated student yet", _run(layout))
    best = max(scores, key=lambda name: scores[name])
    missing = [name for name in all_members(experiment) if name not in scores]
    remark = (
        f"{layout.experiment}/{best} is the best of {len(scores)} students by validation AP "
        f"({100 * scores[best]:.1f})"
    )
    if missing:
        remark += f"; not evaluated yet: {', '.join(missing)}"
    return _trained(f"{layout.experiment}/{best}", folders[best], layout, remark)


def _run(layout: Layout) -> str:
    return f"run snakemake --config experiments={layout.experiment} first"
