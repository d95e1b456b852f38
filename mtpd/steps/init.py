"""``mtpd init``: look at a folder, propose an experiment, and write it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mtpd.chains import is_valid_name
from mtpd.errors import UserError
from mtpd.estimation.estimate import workloads
from mtpd.estimation.speed import Calibration, Speed
from mtpd.experiment.load import load_experiment
from mtpd.files import whole_file, whole_folder
from mtpd.intake.duration import hours
from mtpd.intake.looking import Seen, write_lists
from mtpd.intake.machine import Machine
from mtpd.intake.pretrained import why_no_backbone, why_not
from mtpd.intake.proposal import Pretrained, Proposal, Wishes, propose
from mtpd.intake.written import commented_yaml
from mtpd.layout import RESERVED, Layout, calibration_file
from mtpd.lease import leased_gpus
from mtpd.settings.experiment import Experiment
from mtpd.settings.runtime import EXPERIMENTS, workflow_settings

MEASURED_STEPS = 3
"""Of each kind, where a budget must be kept and nothing was measured yet."""
MOST_EPOCHS = 3.0
"""Times the usual number: a budget that allows more is not used up."""
HALVINGS = 8
"""Of the interval in which the number of epochs lies that fits a budget."""


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
    pretrained = _asked_once()

    def proposed(factor: float = 1, words: str = "") -> Plan:
        made = propose(seen.survey, machine, wishes, pretrained, factor=factor, why_factor=words)
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
    """Write the experiment's YAML and the lists of its split; gives their paths, the YAML first."""
    written = []
    if seen.drawn is not None:
        folder = lists_folder(chosen.name)
        with whole_folder(folder) as temporary:
            write_lists(temporary, seen.drawn)
        written += [folder / f"{split}.txt" for split in seen.drawn.parts]
    path = yaml_file(chosen.name)
    with whole_file(path) as temporary:
        temporary.write_text(chosen.text, encoding="utf-8")
    return [path, *written]


def _planned(seen: Seen, name: str, made: Proposal, command: str) -> Plan:
    data, reasons = dict(seen.data), {f"data.{key}": why for key, why in seen.reasons.items()}
    if seen.drawn is not None:
        data["split"] = str(lists_folder(name))
        new = ", ".join(seen.drawn.new)
        reasons["data.split"] = f"lists of images; drawn here: {new}" if new else "lists of images"
    settings: dict[str, Any] = {"description": _description(seen)}
    settings |= {key: made.settings[key] for key in ("seed",) if key in made.settings}
    settings |= {"data": data} | made.settings
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


def _asked_once() -> Pretrained:
    """Which published weights can be had; the network is asked once for each config."""
    zoo = workflow_settings().zoo
    return Pretrained(
        cache(lambda config: why_not(config, zoo)),
        cache(lambda config: why_no_backbone(config, zoo)),
    )


def _speed(experiment: Experiment, layout: Layout, *, measure: bool) -> Speed:
    """How long steps take, as far as it was measured; what was not is measured if asked for."""
    file = calibration_file(layout.results)
    known = Calibration.load(file)
    forked = workflow_settings().forks_jobs
    if not measure:
        return Speed(known, forked=forked)
    asked = workloads([(experiment, layout)])
    missing = {load: kinds for load, kinds in asked.items() if not _is_known(known, load, kinds)}
    if not missing:
        return Speed(known, forked=forked)
    on_gpu = any(load.device == "cuda" for load in missing)
    # Before torch is imported: it must not look at the devices of others.
    with TemporaryDirectory(prefix="mtpd-") as temporary, leased_gpus(1 if on_gpu else 0):
        from mtpd.steps.calibrate import calibrate

        path = Path(temporary, "calibration.yaml")
        known.save(path)
        calibrate(missing, path, MEASURED_STEPS)
        return Speed(Calibration.load(path), forked=forked)


def _is_known(known: Calibration, load: Any, kinds: Any) -> bool:
    speed = Speed(known)
    return all(speed.ask(kind, load).source != "assumed" for kind in kinds)
