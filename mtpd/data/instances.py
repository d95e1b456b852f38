"""COCO instances files: their structure, and writing one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from mtpd.data.tidy import Item, Report
from mtpd.errors import UserError
from mtpd.files import whole_file

Keys = Mapping[str, tuple[type, ...]]
IMAGE_KEYS: Keys = {"id": (int,), "file_name": (str,), "width": (int,), "height": (int,)}
CATEGORY_KEYS: Keys = {"id": (int,), "name": (str,)}
ANNOTATION_KEYS: Keys = {
    "id": (int,),
    "image_id": (int,),
    "category_id": (int,),
    "bbox": (list,),
    "area": (int, float),
    "iscrowd": (int, bool),
}
JSON_NAMES = {int: "integer", float: "number", str: "text", list: "list", bool: "boolean"}

INSTANCES = "give a COCO instances JSON"


def write_coco(path: Path, coco: Item) -> None:
    """Write an instances file whole, without spaces: COCO's own has half a gigabyte."""
    with whole_file(path) as temporary:
        text = json.dumps(coco, ensure_ascii=False, separators=(",", ":"))
        temporary.write_text(text, encoding="utf-8")


def has_lists(coco: object) -> TypeGuard[Item]:
    """Whether it is an object with the three lists of an instances file."""
    return isinstance(coco, dict) and all(
        isinstance(coco.get(key), list) for key in ("images", "categories", "annotations")
    )


def sound_parts(path: Path, coco: object, report: Report) -> Item:
    """Check keys, types, ids, and what refers to what.

    Args:
        path: The file, for what is reported.
        coco: Its content.
        report: Gets every problem.

    Returns:
        The images, categories and annotations in which no problem was found, by these keys.
    """
    if not isinstance(coco, dict):
        report(UserError(path, "is not a JSON object", INSTANCES))
        return {"images": [], "categories": [], "annotations": []}
    images = _sound_items(path, coco, "images", IMAGE_KEYS, report)
    categories = _sound_items(path, coco, "categories", CATEGORY_KEYS, report)
    annotations = _sound_items(path, coco, "annotations", ANNOTATION_KEYS, report)
    for image in images:
        if image["width"] < 1 or image["height"] < 1:
            where = f"{path}: image {image['id']}"
            size = f"{image['width']}x{image['height']}"
            report(UserError(where, f"has the size {size}", "give its size in pixels"))
    for name in _repeated(category["name"] for category in categories):
        where = f"{path}: categories"
        report(UserError(where, f"two have the name '{name}'", "give every class its own"))
    image_ids = {image["id"] for image in images}
    category_ids = {category["id"] for category in categories}
    linked = []
    for item in annotations:
        where = f"{path}: annotation {item['id']}"
        if item["image_id"] not in image_ids:
            problem = f"belongs to image {item['image_id']}, which is not in 'images'"
            report(UserError(where, problem, "remove it or add its image"))
        elif item["category_id"] not in category_ids:
            problem = f"has category_id {item['category_id']}, which is not in 'categories'"
            report(UserError(where, problem, "correct it or add the category"))
        else:
            linked.append(item)
    return {"images": images, "categories": categories, "annotations": linked}


def _sound_items(path: Path, coco: Item, key: str, keys: Keys, report: Report) -> list[Item]:
    """Items of the list under ``key`` that have ``keys`` of these types, each id once."""
    items = coco.get(key)
    if not isinstance(items, list):
        problem = "is missing" if items is None else "is not a list"
        report(UserError(f"{path}: {key}", problem, INSTANCES))
        return []
    if not items:
        report(UserError(f"{path}: {key}", "is empty", f"give at least one item in '{key}'"))
    sound = []
    for i, item in enumerate(items):
        error = _item_error(f"{path}: {key}[{i}]", item, keys)
        if error is None:
            sound.append(item)
        else:
            report(error)
    for number in _repeated(item["id"] for item in sound):
        report(UserError(f"{path}: {key}", f"two have the id {number}", "make ids unique"))
    return sound


def _item_error(where: str, item: object, keys: Keys) -> UserError | None:
    if not isinstance(item, dict):
        return UserError(where, "is not an object", f"give an object with {', '.join(keys)}")
    for key, types in keys.items():
        # The exact type, as JSON's true would pass for the integer 1.
        if type(item.get(key)) not in types:
            known = f" (id {item['id']})" if type(item.get("id")) is int else ""
            kind = " or ".join(JSON_NAMES[t] for t in types)
            problem = f"'{key}' is {item[key]!r:.40}" if key in item else f"'{key}' is missing"
            return UserError(f"{where}{known}", problem, f"give '{key}' as {kind}")
    return None


def _repeated(values: Iterable[Any]) -> list[Any]:
    """Values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]
