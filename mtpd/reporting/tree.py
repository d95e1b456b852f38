"""Detectors and chains of an experiment as a tree, each with how far its training is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table
from rich.text import Text

from mtpd.overview.status import ExperimentStatus, ModelStatus, State
from mtpd.reporting.words import duration, percent

STYLES: dict[State, str] = {
    "done": "green",
    "running": "bold cyan",
    "started": "cyan",
    "interrupted": "yellow",
    "failed": "bold red",
    "waiting": "dim",
}
SHOWN_ALWAYS = ("running", "started", "failed", "interrupted")
"""States of models that are shown where there is no room for all."""

WIDE, MEDIUM = 105, 76
"""Columns of a terminal from which there is room for where a job runs, and for iterations."""


@dataclass
class Node:
    """A line of the tree, and those below it.

    Attributes:
        name: What it is.
        model: Whose training it shows; None: a heading.
        runs: Names of the runs that end here.
        below: What comes after it.
    """

    name: str
    model: ModelStatus | None = None
    runs: list[str] = field(default_factory=list)
    below: list[Node] = field(default_factory=list)


Line = tuple[str, Node]
"""What stands before a node, and the node."""


def tree_of(status: ExperimentStatus) -> list[Node]:
    """The detectors under a heading, then every method with its chains.

    Chains that begin alike have those stages in common, so a stage stands there once.
    """
    detectors = [Node(model.name, model) for model in status.detectors]
    methods: dict[str, Node] = {}
    places: dict[Path, Node] = {}
    for run in status.runs:
        place = methods.setdefault(run.method, Node(run.method))
        if run.stages is None:
            place.below.append(Node(f"{run.name}: order not decided yet"))
            continue
        for stage in run.stages:
            if stage.folder not in places:
                places[stage.folder] = Node(stage.name, stage)
                place.below.append(places[stage.folder])
            place = places[stage.folder]
        place.runs.append(run.name)
    return [Node("detectors", below=detectors), *methods.values()]


def tree_table(nodes: Sequence[Node], width: int, height: int | None = None) -> Table:
    """The tree as a table.

    Args:
        nodes: Its roots.
        width: Columns that there is room for: what does not fit is left out.
        height: Lines that there is room for; None: any number. Where they are too few, only what
            runs or has failed is shown, with a count of the others.
    """
    headings = _headings(width)
    lines = list(_lines(nodes))
    left_out: list[Node] = []
    if height is not None and len(lines) + 1 > height:
        lines, left_out = _most_important(nodes, max(1, height - 2))
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in headings:
        at_left = heading == "where"
        table.add_column(heading, justify="left" if at_left else "right", no_wrap=not at_left)
    for before, node in lines:
        label, cells = _label(before, node), _cells(node)
        if height is not None:  # so that each node has one line
            label.no_wrap, label.overflow = True, "ellipsis"
        table.add_row(label, _state(node), *(cells.get(heading, "") for heading in headings))
    if left_out:
        table.add_row(Text(_count(left_out), "dim"))
    return table


def _headings(width: int) -> list[str]:
    headings = ["epoch", "iteration", "loss", "AP", "images/s", "left", "where"]
    if width < WIDE:
        headings.remove("where")
    if width < MEDIUM:
        headings.remove("iteration")
    return headings


def _lines(nodes: Iterable[Node], before: str | None = None) -> Iterator[Line]:
    """Every node with the branches that lead to it."""
    every = list(nodes)
    for node in every:
        is_last = node is every[-1]
        branch = "" if before is None else before + ("└─ " if is_last else "├─ ")
        yield branch, node
        under = "" if before is None else before + ("   " if is_last else "│  ")
        yield from _lines(node.below, under)


def _most_important(nodes: Sequence[Node], height: int) -> tuple[list[Line], list[Node]]:
    """Lines of what runs or has failed with all that leads to it, and the models left out."""
    shown = [(before, node) for before, node in _lines(list(map(_pruned, nodes)))]
    shown = [line for line in shown if line[1].model is not None or line[1].below][:height]
    kept = {node.model.folder for _, node in shown if node.model is not None}
    every = [node for _, node in _lines(nodes) if node.model is not None]
    return shown, [node for node in every if node.model and node.model.folder not in kept]


def _pruned(node: Node) -> Node:
    """A node with those of the nodes below it that lead to something to be shown."""
    below = [_pruned(other) for other in node.below]
    below = [other for other in below if other.below or _is_shown_always(other)]
    return Node(node.name, node.model, node.runs, below)


def _is_shown_always(node: Node) -> bool:
    return node.model is not None and node.model.state in SHOWN_ALWAYS


def _count(nodes: Iterable[Node]) -> str:
    counts = Counter(node.model.state for node in nodes if node.model is not None)
    return "not shown: " + ", ".join(
        f"{counts[state]} {state}" for state in STYLES if counts[state]
    )


def _label(before: str, node: Node) -> Text:
    text = Text(before, "dim")
    text.append(node.name, "bold" if node.model is None and node.below else "not dim")
    if node.runs:
        text.append(f"  {', '.join(node.runs)}", "dim italic")
    return text


def _state(node: Node) -> Text:
    model = node.model
    if model is None:
        return Text()
    validating = model.state == "running" and model.progress is not None
    validating = validating and model.progress.state == "validating"  # type: ignore[union-attr]
    return Text("validating" if validating else model.state, STYLES[model.state])


def _cells(node: Node) -> dict[str, str]:
    """What is known of a training, by heading."""
    model = node.model
    if model is None:
        return {}
    last = model.epochs[-1] if model.epochs else None
    loss = last and last.loss
    cells = {"epoch": str(len(model.epochs)) if model.epochs else "", "AP": percent(model.ap)}
    if progress := model.progress:
        cells["epoch"] = f"{progress.epoch}/{progress.epochs}"
        cells["iteration"] = f"{progress.iteration}/{progress.iterations}"
        cells["where"] = progress.where
        loss = progress.loss if progress.loss is not None else loss
        if model.state == "running":
            speed, left = progress.images_per_second, progress.seconds_left
            cells["images/s"] = "" if speed is None else f"{max(0.0, speed):.3g}"
            cells["left"] = "" if left is None else duration(left)
    cells["loss"] = "" if loss is None else f"{loss:.3g}"
    return cells
