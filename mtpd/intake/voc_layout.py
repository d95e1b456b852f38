"""Pascal VOC's XML files in a folder: in VOC's layout, or flat, beside the images or apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtpd.data.lists import read_list
from mtpd.errors import UserError
from mtpd.intake.found import POOL, Found, Parts
from mtpd.intake.tree import ROLES, Tree, common_folder, in_folders

SIGN = re.compile(rb"<annotation[\s>]")
PEEK = 1024
SAMPLE = 200
"""XML files whose images decide which folder their names are relative to."""


def voc_files(tree: Tree) -> list[Path]:
    """XML files that hold the annotations of one image each."""
    return [path for path in tree.files(".xml") if _is_voc(path)]


def recognise_voc(tree: Tree, files: Sequence[Path]) -> Found:
    """Settings for XML files.

    Raises:
        UserError: Their images are not found.
    """
    annotations = common_folder(path.parent for path in files)
    images = _images_folder(tree, annotations, files)
    root = tree.root
    if annotations.name == "Annotations" and images == annotations.parent / "JPEGImages":
        root = annotations.parent
    data: dict[str, Any] = {"source": "voc", "root": str(root)}
    is_layout = root != tree.root or annotations == root / "Annotations"
    lists = root / "ImageSets" / "Main"
    for key, folder, usual in (
        ("annotations", annotations, "Annotations"),
        ("images", images, "JPEGImages"),
    ):
        if folder != root / usual:
            data[key] = folder.relative_to(root).as_posix()
    found = _by_role(lists.glob("*.txt")) if lists.is_dir() else {}
    if "train" in found and "val" in found:
        names = {role: path.stem for role, path in found.items() if path.stem != role}
        return Found(
            "Pascal VOC, with lists", data | {"test": found.get("test") and "test"} | names
        )
    pairs, remarks = _paired(tree, annotations, images, files)
    where = "in its layout" if is_layout else "flat"
    beside = ", XML beside the images" if images == annotations else ""
    parts = _listed(found, pairs) if found else in_folders(pairs.values())
    return Found(f"Pascal VOC, {where}{beside}", data, parts, remarks)


def _is_voc(path: Path) -> bool:
    with path.open("rb") as file:
        return SIGN.search(file.read(PEEK)) is not None


def _images_folder(tree: Tree, annotations: Path, files: Sequence[Path]) -> Path:
    """The folder below which images have the names that XML files have below ``annotations``.

    Raises:
        UserError: There is none.
    """
    stems = [_stem(path, annotations) for path in files[:: max(1, len(files) // SAMPLE)]]
    known = {folder: {Path(name).stem for name in names} for folder, names in tree.images.items()}
    candidates = {
        parent
        for folder in tree.images
        for parent in (folder, *folder.parents)
        if parent == tree.root or tree.root in parent.parents
    }

    def n_paired(folder: Path) -> int:
        return sum(stem.name in known.get(folder / stem.parent, ()) for stem in stems)

    ranked = sorted(candidates, key=lambda folder: (n_paired(folder), len(folder.parts)))
    if not ranked or not n_paired(ranked[-1]):
        raise UserError(
            files[0],
            f"no image in {tree.root} is called '{files[0].stem}'",
            "put the images beside the XML files, or in a folder of the same names",
        )
    return ranked[-1]


def _paired(
    tree: Tree, annotations: Path, images: Path, files: Sequence[Path]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Name of each XML file's image by the name of both without suffix; and what has no partner."""
    known = {
        (folder / name).relative_to(images).with_suffix("").as_posix(): (
            (folder / name).relative_to(images).as_posix()
        )
        for folder, names in tree.images.items()
        if folder == images or images in folder.parents
        for name in names
    }
    stems = [_stem(path, annotations).as_posix() for path in files]
    pairs = {stem: known[stem] for stem in stems if stem in known}
    remarks = []
    alone = [stem for stem in stems if stem not in known]
    if alone:
        remarks.append(f"{len(alone)} XML files have no image (first {alone[0]}.xml): left out")
    bare = sorted(set(known) - set(stems))
    if bare:
        first = known[bare[0]]
        remarks.append(f"{len(bare)} images have no XML file (first {first}): left out")
    return pairs, tuple(remarks)


def _by_role(lists: Any) -> dict[str, Path]:
    """Lists by the split that their whole name speaks of; VOC has those of single classes too."""
    found: dict[str, Path] = {}
    for path in sorted(lists):
        for role, words in ROLES.items():
            if path.stem.lower() in words:
                found.setdefault(role, path)
    return found


def _listed(lists: dict[str, Path], pairs: dict[str, str]) -> Parts:
    """Images of the lists; those that no list has are free where there is no train."""
    ids = {role: [line.split()[0] for line in read_list(path)] for role, path in lists.items()}
    found = {role: tuple(pairs[i] for i in names if i in pairs) for role, names in ids.items()}
    if "train" not in found:
        listed = {image for images in found.values() for image in images}
        found[POOL] = tuple(image for image in pairs.values() if image not in listed)
    return found


def _stem(path: Path, folder: Path) -> Path:
    return path.relative_to(folder).with_suffix("")
