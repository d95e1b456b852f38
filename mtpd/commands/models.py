"""Commands that use a trained model: find objects, hand it on, measure and compare it."""

from __future__ import annotations

from enum import StrEnum
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


class Runtimes(StrEnum):
    """What computes a model."""

    torch = "torch"
    onnx = "onnx"
    int8 = "int8"


class ExportFormat(StrEnum):
    """What a model can be handed on as."""

    onnx = "onnx"
    torch = "torch"


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


@models.command("export")
def export_command(
    model: ModelName,
    results: Results,
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="onnx, or torch: a program of torch.export.")
    ] = ExportFormat.onnx,
    out: Annotated[
        Path | None, typer.Option(help="File to write; none: called as the model, here.")
    ] = None,
    score_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score that it gives.")
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(help="Images of the check, or folders; may stand several times."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Write a model as ONNX with its JSON, after its boxes were compared with PyTorch's."""
    from mtpd.overview.models import find_model

    log_warnings()
    found = find_model(model, results, config)
    from mtpd.reporting.using import print_model
    from mtpd.steps.export import export, print_exported

    print_model(found)
    suffix = ".onnx" if kind is ExportFormat.onnx else ".pt2"
    path = out or Path(f"{found.file_name}{suffix}")
    exported = export(
        found, path, kind.value, score_threshold=score_threshold, sources=images or ()
    )
    print_exported(exported)


@models.command("compare")
def compare_command(
    first: ModelName,
    second: ModelName,
    results: Results,
    experiment: Annotated[
        str | None,
        typer.Option(help="Whose data they are compared on; none: that of the first model named."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="val, test or train; none: the one of the results table.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for pictures and comparison.json; none: no files.")
    ] = None,
    images: Annotated[
        int, typer.Option("--images", min=0, help="Images that differ most, to name and draw.")
    ] = 12,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score of what counts for single images.")
    ] = 0.3,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that are taken together.")] = 8,
    device: Device = "auto",
) -> None:
    """Compare two models on a data set: all figures, and the images where they differ most."""
    from mtpd.overview.models import find_model

    log_warnings()
    found = find_model(first, results), find_model(second, results)
    from mtpd.reporting.data_check import image_progress
    from mtpd.reporting.using import print_comparison, print_model
    from mtpd.steps.compare import compare, differing, write_comparison
    from mtpd.steps.models import detections_on, experiment_of

    for model in found:
        print_model(model)
    with image_progress() as progress:
        data, detections = detections_on(
            found, experiment_of(found, experiment), results, split, device, batch_size, progress
        )
    comparison = compare(found, detections, data, score_threshold)
    print_comparison(
        comparison.models,
        f"{comparison.images} images of {comparison.split}",
        comparison.rows(),
        [(own.image["file_name"], own.scores) for own in differing(comparison, images)],
    )
    if out is not None:
        write_comparison(comparison, detections, data, out, score_threshold, images)
        typer.echo(f"written: {out}")


@models.command("benchmark")
def benchmark_command(
    names: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Models, as the other commands take.")
    ],
    results: Results,
    experiment: Annotated[
        str | None,
        typer.Option(help="Whose data they are measured on; none: that of the first model named."),
    ] = None,
    runtime: Annotated[
        list[Runtimes] | None,
        typer.Option(help="Only this one: torch, onnx or int8; may stand several times."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="val, test or train; none: the one of the results table.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="AP of the first so many images; none: of all.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Of the throughput.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 2.0,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Folder that keeps the ONNX files and benchmark.json.")
    ] = None,
) -> None:
    """Measure speed, memory and AP of models with PyTorch, ONNX Runtime and 8-bit integers."""
    from mtpd.overview.models import find_model

    log_warnings()
    found = [find_model(name, results) for name in names]
    from mtpd.reporting.benchmark import print_benchmark
    from mtpd.reporting.data_check import image_progress
    from mtpd.reporting.using import print_model
    from mtpd.steps.benchmark import ALLOWED_DROP, RUNTIMES, Settings, benchmark
    from mtpd.steps.models import experiment_of

    for model in found:
        print_model(model)
    chosen = tuple(name for name in RUNTIMES if not runtime or name in [r.value for r in runtime])
    settings = Settings(chosen, device, batch_size, seconds, images, split)
    with image_progress() as progress:
        rows, data = benchmark(
            found, experiment_of(found, experiment), results, settings, out, progress
        )
    where = f"{len(data.images)} images of {data.name}"
    print_benchmark(
        [(row.model, row.runtime, row.ap, row.speed, row.file_mb, row.holds_ap) for row in rows],
        where,
        batch_size,
        ALLOWED_DROP,
    )
