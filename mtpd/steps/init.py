"""``mtpd init``: look at a folder, propose an experiment, and write it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter

from mtpd.chains import is_valid_name
from mtpd.data.check import DataReport, Target, check_data
from mtpd.data.coco import find_bad_boxes, sound_parts
from mtpd.data.inspection import Progress
from mtpd.data.sources import splits_of
from mtpd.data.splits import locate_split
from mtpd.errors import UserError
from mtpd.estimation.estimate import workloads
from mtpd.estimation.speed import Calibration, Speed
from mtpd.experiment.load import load_experiment
from mtpd.files import read_json, whole_file, whole_folder
from mtpd.intake.drawing import Drawn, draw_split
from mtpd.intake.duration import hours
from mtpd.intake.found import Found
from mtpd.intake.machine import Machine
from mtpd.intake.pretrained import why_not
from mtpd.intake.proposal import Proposal, Wishes, propose
from mtpd.intake.recognise import recognise
from mtpd.intake.survey import Coco, Survey, classes_of_images, survey
from mtpd.intake.written import commented_yaml
from mtpd.layout import RESERVED, Layout, calibration_file
from mtpd.settings.data import Data, FiledData
from mtpd.settings.experiment import Experiment
from mtpd.settings.runtime import EXPERIMENTS, workflow_settings

MEASURED_STEPS = 3
"""Of each kind, where a budget must be kept and nothing was measured yet."""
MOST_EPOCHS = 3.0
"""Times the usual number: a budget that allows more is not used up."""
HALVINGS = 12
"""Of the interval in which the number of epochs lies that fits a budget."""

_DATA: TypeAdapter[FiledData] = TypeAdapter(Data)


@dataclass(frozen=True)
class Seen:
    """A folder, looked at.

    Attributes:
        found: Its format.
        drawn: Its lists of images; None: it has splits that need none.
        data: Settings of ``data``, without ``split``.
        reasons: Comments on them, by key.
        survey: What it holds.
        report: What is wrong with it.
        remarks: What must be said of it.
    """

    found: Found
    drawn: Drawn | None
    data: dict[str, Any]
    reasons: dict[str, str]
    survey: Survey
    report: DataReport
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """An experiment that can be written.

    Attributes:
        name: Of the experiment.
        experiment: As its YAML will say it.
        proposal: The settings and their reasons.
        hours: That it will take.
        basis: How that is known: measured, scaled, assumed.
        text: Of the YAML.
    """

    name: str
    experiment: Experiment
    proposal: Proposal
    hours: float
    basis: str
    text: str


def look_at(
    folder: Path,
    name: str,
    wanted: str | None = None,
    group: str | None = None,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda _: lambda _: lambda: None,
) -> Seen:
    """Recognise what lies in a folder, draw a split if it has none, and count.

    Args:
        folder: Of images and annotations, which are not changed.
        name: Of the experiment that is to be.
        wanted: The format to look for; None: any.
        group: Regular expression of what names of images share that stay together.
        seed: Of the split.
        progress: As for :func:`mtpd.data.check.check_data`.

    Raises:
        UserError: It cannot be used as it is.
    """
    found = recognise(folder, wanted)
    with TemporaryDirectory(prefix="mtpd-") as temporary:
        place = Path(temporary)
        data, drawn = dict(found.data), None
        if found.parts is not None:
            whole, images = _whole(found, place)
            drawn = draw_split(found.parts, classes_of_images(whole), images, group, seed)
            parts = _divided(whole, drawn)
            if data["source"] == "voc":
                # Otherwise a class that train lacks would be an error in the other splits.
                data["classes"] = [category["name"] for category in whole["categories"]]
            _write_lists(place / "split", drawn)
            data["split"] = str(place / "split")
        else:
            parts = _splits(_DATA.validate_python(data), place)
            if group is not None:
                problem = "is for data without a split, and this has one"
                raise UserError("--group", problem, "leave it away")
        reasons = {}
        bad = sum(_n_bad(coco) for coco in parts.values())
        if bad:
            data["bad_boxes"] = "drop"
            reasons["bad_boxes"] = f"{bad} boxes have no area or leave their image"
        checked = Target(str(folder), _DATA.validate_python(data), whole=False)
        report = _moved(check_data(checked, progress=progress), place / "split", lists_folder(name))
    data.pop("split", None)
    said = (*found.remarks, *(drawn.remarks if drawn else ()))
    seen = survey({split: _countable(coco) for split, coco in parts.items()})
    return Seen(found, drawn, data, reasons, seen, report, said)


def name_for(folder: Path, given: str | None, *, force: bool) -> str:
    """The experiment's name: ``given``, or one made of the folder's.

    Raises:
        UserError: It is none, or there is an experiment of this name and ``force`` is not set.
    """
    own = re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.resolve().stem).strip("_.-").lower()
    name = given or own or "own"
    if not is_valid_name(name) or name in RESERVED:
        remedy = "use letters, digits, '_', '-' and '.', with a letter or digit first"
        raise UserError("--name", f"'{name}' cannot be an experiment's name", remedy)
    path = yaml_file(name)
    if path.exists() and not force:
        raise UserError(path, "is there already", "give another --name, or --force to replace it")
    return name


def yaml_file(name: str) -> Path:
    """Where the experiment's YAML belongs: below the working folder, if no setting says other."""
    workflow = workflow_settings()
    is_checkouts = workflow.folder == workflow.checkout / EXPERIMENTS
    return (EXPERIMENTS if is_checkouts else workflow.folder) / f"{name}.yaml"


def lists_folder(name: str) -> Path:
    """Where the lists of the experiment's split belong."""
    return yaml_file(name).parent.parent / "splits" / name


def plan(
    seen: Seen,
    name: str,
    machine: Machine,
    wishes: Wishes,
    budget: float | None = None,
    command: str = "mtpd init",
) -> Plan:
    """An experiment on what was seen, checked as every experiment is.

    Args:
        seen: The data.
        name: Of the experiment.
        machine: Where it will run.
        wishes: What the user has decided.
        budget: Hours that it may take; None: as long as is usual.
        command: What made it, for the head of the YAML.

    Raises:
        UserError: What the user has decided does not go together.
    """
    why = _asked_once()

    def proposed(factor: float = 1, words: str = "") -> Plan:
        made = propose(seen.survey, machine, wishes, why, factor=factor, why_factor=words)
        return _planned(seen, name, made, command)

    usual = proposed()
    layout = Layout(workflow_settings().results, name)
    images = {split: part.images for split, part in seen.survey.splits.items()}
    speed = _speed(usual.experiment, layout, measure=budget is not None)

    def timed(made: Plan) -> Plan:
        taken = hours(made.experiment, layout, images, speed, machine)
        basis = {answer.source for answer in speed.answers.values()}
        worst = next(word for word in ("assumed", "scaled", "measured") if word in basis)
        return replace(made, hours=taken, basis=worst)

    if budget is None:
        return timed(usual)
    words = f"as many as {budget:g} h of this machine allow"
    low, high = 0.0, MOST_EPOCHS
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = timed(proposed(middle, words)).hours <= budget
        low, high = (middle, high) if fits else (low, middle)
    chosen = timed(proposed(low, words))
    if chosen.hours > budget:
        chosen.proposal.remarks.append(
            f"even the shortest trainings take about {chosen.hours:.2g} h: "
            "a smaller --size or fewer --teachers take less"
        )
    return chosen


def write(chosen: Plan, seen: Seen) -> list[Path]:
    """Write the experiment's YAML and the lists of its split; gives their paths.

    Raises:
        UserError: The YAML does not say what was planned.
    """
    written = []
    if seen.drawn is not None:
        folder = lists_folder(chosen.name)
        with whole_folder(folder) as temporary:
            _write_lists(temporary, seen.drawn)
        written += [folder / f"{split}.txt" for split in seen.drawn.parts]
    path = yaml_file(chosen.name)
    with whole_file(path) as temporary:
        temporary.write_text(chosen.text, encoding="utf-8")
    return [path, *written]


def _whole(found: Found, place: Path) -> tuple[Coco, Path]:
    """All images of a data set that has no split, as one; and the folder of their names."""
    assert found.parts is not None
    names = [name for part in found.parts.values() for name in part]
    _write_lists(place / "whole", Drawn({"train": tuple(dict.fromkeys(names))}, ()))
    data = _DATA.validate_python({**found.data, "split": str(place / "whole")})
    located = locate_split(data, "train", place, None)
    return _sound(located.annotations), located.images


def _splits(data: FiledData, place: Path) -> dict[str, Coco]:
    found: dict[str, Coco] = {}
    for split in splits_of(data):
        classes = tuple(c["name"] for c in found["train"]["categories"]) if found else None
        found[split] = _sound(locate_split(data, split, place, classes).annotations)
    return found


def _sound(path: Path) -> Coco:
    """What can be counted of an instances file; the check of the data says what is wrong."""
    parts = sound_parts(path, read_json(path), lambda _: None)
    if not parts["images"] or not parts["annotations"]:
        raise UserError(path, "has no image with a box", "annotate at least one object")
    return parts


def _divided(whole: Coco, drawn: Drawn) -> dict[str, Coco]:
    """The images of each split, with their annotations."""
    side = {name: split for split, names in drawn.parts.items() for name in names}
    of_image = {image["id"]: side.get(image["file_name"]) for image in whole["images"]}
    return {
        split: {
            **whole,
            "images": [item for item in whole["images"] if of_image[item["id"]] == split],
            "annotations": [
                item for item in whole["annotations"] if of_image[item["image_id"]] == split
            ],
        }
        for split in drawn.parts
    }


def _moved(report: DataReport, lists: Path, new: Path) -> DataReport:
    """The report as it would be with the lists in their place.

    What it says of images that no list has is left out: they were left out here, with a count.
    """

    def moved(errors: tuple[UserError, ...]) -> tuple[UserError, ...]:
        return tuple(
            UserError(
                error.where.replace(str(lists), str(new)),
                error.problem.replace(str(lists), str(new)),
                error.remedy,
            )
            for error in errors
            if error.where != str(lists)
        )

    splits = tuple(
        replace(split, problems=moved(split.problems), remarks=moved(split.remarks))
        for split in report.splits
    )
    return replace(report, splits=splits)


def _n_bad(coco: Coco) -> int:
    return len(find_bad_boxes(coco, 1.0))


def _countable(coco: Coco) -> Coco:
    """Without boxes that cannot be used."""
    bad = find_bad_boxes(coco, 1.0)
    return {**coco, "annotations": [a for i, a in enumerate(coco["annotations"]) if i not in bad]}


def _write_lists(folder: Path, drawn: Drawn) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in drawn.parts.items():
        text = "".join(f"{name}\n" for name in names)
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")


def _planned(seen: Seen, name: str, made: Proposal, command: str) -> Plan:
    data, reasons = dict(seen.data), {f"data.{key}": why for key, why in seen.reasons.items()}
    if seen.drawn is not None:
        data["split"] = str(lists_folder(name))
        new = ", ".join(seen.drawn.new)
        reasons["data.split"] = f"lists of images; drawn here: {new}" if new else "lists of images"
    head, *rest = (
        made.settings.items() if "seed" in made.settings else (None, *made.settings.items())
    )
    settings: dict[str, Any] = {"description": _description(seen)}
    if head:
        settings[head[0]] = head[1]
    settings |= {"data": data, **dict(rest)}
    text = commented_yaml(settings, made.reasons | reasons, _head(name, command))
    with TemporaryDirectory(prefix="mtpd-") as temporary:
        path = Path(temporary, f"{name}.yaml")
        path.write_text(text, encoding="utf-8")
        experiment = load_experiment(path)
    return Plan(name, experiment, made, 0.0, "", text)


def _description(seen: Seen) -> str:
    classes = seen.survey.classes
    named = ", ".join(classes[:3]) + (f" and {len(classes) - 3} more" if len(classes) > 3 else "")
    return f"Detectors of {named}"


def _head(name: str, command: str) -> str:
    return (
        f"Written by `{command}`; change what you like.\n"
        f"Run it:      snakemake --cores N --config experiments={name}\n"
        f"Look at it:  mtpd data check {name}, mtpd estimate {name}, mtpd status {name}"
    )


def _asked_once() -> Callable[[str], str | None]:
    """Whether published weights can be had; the network is asked once for each config."""
    zoo = workflow_settings().zoo
    return cache(lambda config: why_not(config, zoo))


def _speed(experiment: Experiment, layout: Layout, *, measure: bool) -> Speed:
    """How long steps take, as far as it was measured; what was not is measured if asked for."""
    file = calibration_file(layout.results)
    known = Calibration.load(file)
    if not measure:
        return Speed(known)
    asked = workloads([(experiment, layout)])
    missing = {load: kinds for load, kinds in asked.items() if not _is_known(known, load, kinds)}
    if not missing:
        return Speed(known)
    from mtpd.steps.calibrate import calibrate

    with TemporaryDirectory(prefix="mtpd-") as temporary:
        path = Path(temporary, "calibration.yaml")
        known.save(path)
        calibrate(missing, path, MEASURED_STEPS)
        return Speed(Calibration.load(path))


def _is_known(known: Calibration, load: Any, kinds: Any) -> bool:
    speed = Speed(known)
    return all(speed.ask(kind, load).source != "assumed" for kind in kinds)
