"""Commands that use a trained model: find objects, hand it on, measure and compare it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpd.commands.options import Results, log_warnings

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A folder with config.py and weights, a weights file, an ONNX file, experiment/run, "
        "experiment/detector, or an experiment: its best student.",
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="The detector's config, if none is beside weights.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …; auto: a GPU if there is one.")]

models = typer.Typer()


@models.command("predict")
def predict_command(
    model: ModelName,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Images, videos, folders, or quoted patterns."),
    ],
    results: Results,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("predictions"),
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score of what is drawn and written.")
    ] = 0.3,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that are taken together.")] = 8,
    device: Device = "auto",
    draw: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw on copies.")] = True,
    config: ConfigFile = None,
) -> None:
    """Find objects in images and videos: drawn copies, COCO results JSON and YOLO text."""
    from mtpd.overview.models import find_model

    log_warnings()
    found = find_model(model, results, config)
    from mtpd.reporting.data_check import image_progress
    from mtpd.reporting.using import print_model, print_prediction
    from mtpd.steps.models import open_detector
    from mtpd.steps.predict import predict

    print_model(found)
    detector = open_detector(found, device, score_threshold)
    with image_progress() as progress:
        result = predict(
            detector,
            sources,
            out,
            threshold=score_threshold,
            batch=batch_size,
            draw=draw,
            progress=progress("predict"),
        )
    print_prediction(result.images, result.objects, result.unreadable, result.others, out)
