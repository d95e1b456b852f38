"""Instances files of a whole data set, put together and divided by lists of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtpd.data.instances import INSTANCES, has_lists, sound_parts, write_coco
from mtpd.data.lists import listed_images, split_list, unlisted
from mtpd.data.names import Names
from mtpd.data.tidy import Classes, tidied
from mtpd.errors import UserError, raise_first
from mtpd.files import read_json
from mtpd.settings.data import CocoData

Item = dict[str, Any]


def convert_coco(data: CocoData, split: str, out: Path) -> tuple[UserError, ...]:
    """Write the instances file of one split.

    Args:
        data: With ``annotations``, ``images`` and ``split``.
        split: ``train``, ``val`` or ``test``.
        out: Instances JSON to write. Images are in the order of the list.

    Returns:
        What must be said of it, with counts.

    Raises:
        UserError: A file or list is wrong, or the files do not fit together.
    """
    whole, said = _whole(data)
    by_name = {image["file_name"]: image for image in whole["images"]}
    path = split_list(data, split)
    listed = listed_images(data, split)
    if missing := [name for name in listed if name not in by_name]:
        known, remedy = Names(by_name), "correct the line, or take it out"
        problem = "lists '{}', which is not in data.annotations{}"
        raise_first(
            [UserError(path, problem.format(name, known.instead(name)), remedy) for name in missing]
        )
    images = [by_name[name] for name in listed]
    ids = {image["id"] for image in images}
    annotations = [item for item in whole["annotations"] if item["image_id"] in ids]
    write_coco(out, {**whole, "images": images, "annotations": annotations})
    if split != "train":  # what is said of the whole is said once
        return ()
    others = unlisted(data, list(by_name))
    if others:
        problem = f"no list has {len(others)} of {len(by_name)} images (first {others[0]})"
        said.append(UserError(data.split, problem, "they are left out"))
    return tuple(said)


def _whole(data: CocoData) -> tuple[Item, list[UserError]]:
    """All annotations, and what must be said of them.

    File names are relative to :func:`mtpd.data.sources.images_folder`.
    """
    assert data.annotations is not None
    assert data.images is not None
    paths = [data.root / annotations for annotations in data.annotations]
    folders = data.images if len(data.images) > 1 else data.images * len(paths)
    said: list[UserError] = []
    files = [
        _sound(path, data.root / folder, said) for path, folder in zip(paths, folders, strict=True)
    ]
    if len(data.images) > 1:
        for coco, folder in zip(files, data.images, strict=True):
            for image in coco["images"]:
                image["file_name"] = (folder / image["file_name"]).as_posix()
    return files[0] if len(files) == 1 else _merged(paths, files), said


def _sound(path: Path, images: Path, said: list[UserError]) -> Item:
    """The content of a file, in which nothing is wrong; remarks are added to ``said``."""
    coco, problems = read_json(path, INSTANCES), list[UserError]()
    if has_lists(coco):
        said += tidied(path, coco, images, Classes(), problems.append).remarks
    sound_parts(path, coco, problems.append)
    raise_first(problems)
    names = set()
    for image in coco["images"]:
        if image["file_name"] in names:
            problem = f"'{image['file_name']}' is there twice"
            raise UserError(f"{path}: image {image['id']}", problem, "give every image once")
        names.add(image["file_name"])
    found: Item = coco
    return found


def _merged(paths: Sequence[Path], files: Sequence[Item]) -> Item:
    """Several files as one, with new ids; categories and images are known by their names."""
    categories: dict[str, Item] = {}
    images: dict[str, Item] = {}
    annotations: list[Item] = []
    for path, coco in zip(paths, files, strict=True):
        for category in coco["categories"]:
            new = {**category, "id": len(categories) + 1}
            categories.setdefault(category["name"], new)
        for image in coco["images"]:
            new = {**image, "id": len(images) + 1}
            known = images.setdefault(image["file_name"], new)
            if (known["width"], known["height"]) != (image["width"], image["height"]):
                problem = f"'{image['file_name']}' has another size in a file before"
                raise UserError(f"{path}: image {image['id']}", problem, "correct one of them")
        names = {category["id"]: category["name"] for category in coco["categories"]}
        file_names = {image["id"]: image["file_name"] for image in coco["images"]}
        for item in coco["annotations"]:
            of = {
                "id": len(annotations) + 1,
                "image_id": images[file_names[item["image_id"]]]["id"],
                "category_id": categories[names[item["category_id"]]]["id"],
            }
            annotations.append({**item, **of})
    return {
        "images": list(images.values()),
        "annotations": annotations,
        "categories": list(categories.values()),
    }
