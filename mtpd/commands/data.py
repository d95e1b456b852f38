"""``mtpd data``: prepare data sets, and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpd.commands.options import ExperimentName, Results, log_info
from mtpd.errors import UserError

DataRoot = Annotated[
    Path | None, typer.Option(help="Takes the place of the experiment's data.root.")
]

data = typer.Typer(help="Prepare data sets, and check them.", no_args_is_help=True)


@data.command()
def prepare(
    experiment: ExperimentName,
    results: Results,
    data_root: DataRoot = None,
) -> None:
    """Check an experiment's data set for use, converting or generating it where needed."""
    from mtpd.digests import Digests
    from mtpd.experiment.load import open_experiment
    from mtpd.experiment.making import make
    from mtpd.experiment.recipes import Recipes, Task
    from mtpd.settings.runtime import workflow_settings
    from mtpd.steps.data import has_same_images, prepare_data
    from mtpd.store import Store

    log_info()
    workflow = workflow_settings()
    settings, layout = open_experiment(experiment, results, data_root)
    make(
        Recipes(settings, layout, workflow.zoo, Digests()),
        Store(workflow.store_for(results)),
        Task("data"),
        lambda: prepare_data(settings, layout),
        lambda: has_same_images(settings, layout),
    )


@data.command("check")
def check_data_sets(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments whose data sets are looked at: YAML files, or names."),
    ] = None,
    coco: Annotated[Path | None, typer.Option(help="Folder of COCO 2017.")] = None,
    crowdhuman: Annotated[Path | None, typer.Option(help="Folder of CrowdHuman.")] = None,
    argoverse_hd: Annotated[Path | None, typer.Option(help="Folder of Argoverse-HD.")] = None,
    data_root: DataRoot = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode images whole: finds damage inside PNGs.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A picture that is in two splits is a problem.")
    ] = False,
    show: Annotated[int, typer.Option(min=0, help="Problems to print for each data set.")] = 10,
    report: Annotated[Path | None, typer.Option(help="File for all problems.")] = None,
) -> None:
    """Say what is there of data sets and list everything that is wrong; changes nothing.

    Data sets given by their folder must be whole, as published; an experiment's may be a part.
    Exit status 1: something is wrong.
    """
    from mtpd.data.check import check_data, published_target, targets_of
    from mtpd.experiment.load import open_experiment
    from mtpd.reporting.data_check import image_progress, print_data_report, write_list

    folders = {"COCO 2017": coco, "CrowdHuman": crowdhuman, "Argoverse-HD": argoverse_hd}
    targets = [published_target(name, root) for name, root in folders.items() if root is not None]
    opened = [open_experiment(name, data_root=data_root) for name in experiments or []]
    targets += targets_of((layout.experiment, settings.data) for settings, layout in opened)
    if not targets:
        raise UserError(
            "mtpd data check", "names no data set", "give experiments, or --coco FOLDER"
        )
    with image_progress() as progress:
        reports = [
            check_data(target, decode=decode, strict=strict, progress=progress)
            for target in targets
        ]
    for found in reports:
        print_data_report(found, show)
    if report is not None:
        write_list(report, reports)
    if any(found.problems for found in reports):
        raise typer.Exit(1)
