"""Which format the annotations of a folder have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtpd.errors import UserError
from mtpd.intake.coco_layout import coco_files, recognise_coco
from mtpd.intake.found import Found
from mtpd.intake.tree import Tree
from mtpd.intake.voc_layout import recognise_voc, voc_files
from mtpd.intake.yolo_layout import has_labels, recognise_yolo, yolo_files

FORMATS = ("coco", "voc", "yolo")
PEEK = 2048

Finder = Callable[[Tree], Any]
FINDERS: Mapping[str, tuple[str, Finder, Callable[[Tree, Any], Found]]] = {
    "coco": ("COCO JSON", coco_files, recognise_coco),
    "voc": ("Pascal VOC XML", voc_files, recognise_voc),
    "yolo": ("YOLO labels", yolo_files, recognise_yolo),
}
"""Format → its name, what gives its files, and what makes settings of them."""

EXPORT = "export it as COCO, Pascal VOC or YOLO"
STRANGERS = (
    (".json", b'"imagePath"', "LabelMe's JSON"),
    (".json", b'"_via_', "VIA's JSON"),
    (".json", b'"annotations": [{"label"', "CreateML's JSON"),
    (".json", b'"data"', "Label Studio's own JSON"),
    (".xml", b"<annotations", "CVAT's own XML"),
    (".csv", b",", "a CSV table"),
    (".tfrecord", b"", "a TFRecord"),
    (".zip", b"", "an archive that is not unpacked"),
)
"""Suffix, what the start of the file holds, and what it then is: nothing that is read here."""


def recognise(root: Path, wanted: str | None = None) -> Found:
    """What the annotations in the folder ``root`` are.

    Args:
        root: The folder; or one file of annotations or names in it, and then no other counts.
        wanted: The format to look for; None: any.

    Raises:
        UserError: There are none, of several formats, or they are wrong.
    """
    tree = _tree(root)
    asked = FINDERS if wanted is None else {wanted: FINDERS[wanted]}
    files = {name: found for name, (_, find, _) in asked.items() if (found := find(tree))}
    if not files:
        raise _nothing(tree, wanted)
    if len(files) > 1:
        counts = " and ".join(
            f"{len(found)} of {FINDERS[name][0]}" for name, found in files.items()
        )
        remedy = f"say which is meant: --format {' or '.join(files)}"
        raise UserError(root, f"has files of several formats, {counts}", remedy)
    if not tree.n_images:
        name = FINDERS[next(iter(files))][0]
        problem = f"has {name} and no image"
        raise UserError(root, problem, "put the images there, or give the folder that holds both")
    [(name, found)] = files.items()
    return FINDERS[name][2](tree, found)


def _tree(given: Path) -> Tree:
    if not given.is_file():
        return Tree.of(given)
    around = given.parent.parent if given.parent.name == "annotations" else given.parent
    tree = Tree.of(around)
    kept = [".txt"] if given.suffix in (".yaml", ".yml", ".txt", ".names") else []
    tree.others = {suffix: tree.others.get(suffix, []) for suffix in kept}
    tree.others[given.suffix] = [*tree.others.get(given.suffix, []), given]
    return tree


def _nothing(tree: Tree, wanted: str | None) -> UserError:
    """Why nothing was found."""
    names = [FINDERS[wanted][0]] if wanted else [name for name, _, _ in FINDERS.values()]
    problem = f"has {tree.n_images} images and no {', '.join(names)}"
    if wanted in (None, "yolo") and has_labels(tree):
        remedy = "add the class names, one a line, as classes.txt, or a data.yaml with names"
        return UserError(tree.root, "has YOLO labels, and no file names their classes", remedy)
    stranger = _stranger(tree)
    if stranger is not None:
        return UserError(tree.root, f"{problem}; {stranger[0].name} is {stranger[1]}", EXPORT)
    return UserError(tree.root, problem, "give the folder that holds images and annotations")


def _stranger(tree: Tree) -> tuple[Path, str] | None:
    """A file of a format that is known and not read."""
    for suffix, sign, name in STRANGERS:
        for path in tree.files(suffix)[:1]:
            with path.open("rb") as file:
                if sign in file.read(PEEK):
                    return path, name
    return None
