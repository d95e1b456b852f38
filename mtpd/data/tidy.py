"""What of an instances file has one obvious meaning and is written otherwise: taken, and counted.

Each of these is something that programs write and that MMDetection or the COCO evaluation would
stumble over, or pass over without a word.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtpd.data.masks import has_mask, mask_area
from mtpd.data.names import alike
from mtpd.errors import UserError

Item = dict[str, Any]
Report = Callable[[UserError], object]
"""What becomes of a problem: it is raised, or put on a list and the check goes on."""

WHOLE = {"images": ("id", "width", "height"), "annotations": ("id", "image_id", "category_id")}
"""Keys whose value must be an integer, by the list that they stand in."""

SMALLEST_SIDE = 1.0
"""Pixels; MMDetection leaves smaller boxes out without a word."""


@dataclass(frozen=True)
class Classes:
    """Which classes a split is to have.

    Attributes:
        expected: Those of the training split, in the order of their labels; None: it is that one.
        chosen: Those that the experiment names; None: all.
    """

    expected: Sequence[str] | None = None
    chosen: Sequence[str] | None = None


ALL = Classes()


@dataclass
class Tidied:
    """An instances file as it is used.

    Attributes:
        coco: Its content, changed in place.
        remarks: What was taken otherwise than it is written, with counts.
        is_changed: Whether the content is another than the file's.
    """

    coco: Item
    remarks: list[UserError] = field(default_factory=list)
    is_changed: bool = False

    def say(self, where: object, problem: str, remedy: str) -> None:
        """Remember a change."""
        self.remarks.append(UserError(where, problem, remedy))
        self.is_changed = True


def tidied(path: Path, coco: Item, images: Path, classes: Classes, report: Report) -> Tidied:
    """Take what has one obvious meaning.

    Args:
        path: The file, for what is said.
        coco: Its content, with lists under ``images``, ``annotations`` and ``categories`` whose
            items may still be wrong. It is changed in place.
        images: Folder that its file names are relative to.
        classes: Those that it is to have.
        report: Gets problems with the classes.
    """
    found = Tidied(coco)
    for key, keys in WHOLE.items():
        _take_whole_numbers(found, path, key, keys)
    _take_separators(found, path, images)
    _take_ignored(found, path)
    _take_crowds(found, path)
    _take_areas(found, path)
    _take_crowd_masks(found, path)
    _leave_root_out(found, path, classes)
    _arrange(found, path, classes, report)
    return found


def _items(coco: Item, key: str) -> list[Item]:
    return [item for item in coco[key] if isinstance(item, dict)]


def _count(items: Sequence[Item], of: Sequence[Item], what: str) -> str:
    return f"{len(items)} of {len(of)} {what} (first id {items[0].get('id')})"


def _take_whole_numbers(found: Tidied, path: Path, key: str, keys: Sequence[str]) -> None:
    """``640.0`` is 640."""
    items = _items(found.coco, key)
    changed = []
    for item in items:
        floats = [k for k in keys if isinstance(item.get(k), float) and item[k].is_integer()]
        for name in floats:
            item[name] = int(item[name])
        if floats:
            changed.append(item)
    if changed:
        problem = _count(changed, items, f"have numbers such as 1.0 as {' or '.join(keys)}")
        found.say(f"{path}: {key}", problem, "they are taken as integers")


def _take_separators(found: Tidied, path: Path, images: Path) -> None:
    """``train\\0001.jpg`` is ``train/0001.jpg``, unless there is a file with that very name."""
    items = _items(found.coco, "images")
    changed = []
    for item in items:
        name = item.get("file_name")
        if isinstance(name, str) and "\\" in name and not (images / name).exists():
            item["file_name"] = name.replace("\\", "/")
            changed.append(item)
    if changed:
        problem = _count(changed, items, "file names have Windows' separators")
        found.say(f"{path}: images", problem, "they are taken as /")


def _take_ignored(found: Tidied, path: Path) -> None:
    """``ignore: 1``: MMDetection drops such boxes, and the evaluation counts them as missed."""
    items = _items(found.coco, "annotations")
    changed = [item for item in items if item.get("ignore") in (1, True)]
    for item in changed:
        item["iscrowd"] = 1
        del item["ignore"]
    if changed:
        problem = _count(changed, items, "annotations have 'ignore': 1")
        found.say(path, problem, "they count as crowds: neither learnt nor missed")


def _take_crowds(found: Tidied, path: Path) -> None:
    items = _items(found.coco, "annotations")
    changed = [item for item in items if item.get("iscrowd") is None]
    for item in changed:
        item["iscrowd"] = 0
    if changed:
        problem = _count(changed, items, "annotations have no 'iscrowd'")
        found.say(path, problem, "it is taken as 0")


def _take_areas(found: Tidied, path: Path) -> None:
    items = _items(found.coco, "annotations")
    changed = [item for item in items if _needs_area(item)]
    for item in changed:
        item["area"] = mask_area(item) or item["bbox"][2] * item["bbox"][3]
    if changed:
        problem = _count(changed, items, "annotations have no 'area' above 0")
        found.say(path, problem, "it is taken from the mask or the box")


def _needs_area(item: Item) -> bool:
    """Whether an annotation has no area that can be used, and a box that gives one."""
    area = item.get("area")
    if area is not None and not (type(area) in (int, float) and not area > 0):
        return False
    return is_box(item.get("bbox")) and (area is None or not item.get("iscrowd"))


def is_box(box: object) -> bool:
    """Whether it is four finite numbers, and at least a pixel wide and high."""
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(type(v) in (int, float) and math.isfinite(v) for v in box)
        and min(box[2:]) >= SMALLEST_SIDE
    )


def _take_crowd_masks(found: Tidied, path: Path) -> None:
    """Where every object has a mask, a region to ignore without one is its box."""
    items = _items(found.coco, "annotations")
    objects = [item for item in items if not item.get("iscrowd")]
    changed = [
        item
        for item in items
        if item.get("iscrowd") and not has_mask(item) and is_box(item.get("bbox"))
    ]
    if not objects or not changed or not all(has_mask(item) for item in objects):
        return
    for item in changed:
        x, y, w, h = item["bbox"]
        item["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    problem = _count(changed, items, "annotations are crowds without mask")
    found.say(path, problem, "the box is taken as the mask")


def _annotated(coco: Item) -> Counter[Any]:
    """Number of annotations by category id."""
    ids = (item.get("category_id") for item in _items(coco, "annotations"))
    return Counter(i for i in ids if isinstance(i, int))


def _leave_root_out(found: Tidied, path: Path, classes: Classes) -> None:
    """Roboflow writes the project's name as a category above all others, without annotations."""
    categories = _items(found.coco, "categories")
    used = _annotated(found.coco)
    for root in categories:
        others = [category for category in categories if category is not root]
        name = root.get("name")
        is_root = (
            len(others) > 0
            and isinstance(name, str)
            and not used[root.get("id")]
            and root.get("supercategory") in (None, "", "none", name)
            and all(category.get("supercategory") == name for category in others)
        )
        twice = any(category.get("name") == name for category in others)
        if is_root and (twice or name not in (classes.expected or ())):
            found.coco["categories"] = others
            problem = f"'{name}' has no annotation, and all other categories are below it"
            found.say(f"{path}: categories", problem, "it is left out")
            return


def _arrange(found: Tidied, path: Path, classes: Classes, report: Report) -> None:
    """Put the categories into the order of the classes, by their names; leave out the others."""
    names = classes.expected or classes.chosen
    categories = _items(found.coco, "categories")
    if names is None or len({c.get("name") for c in categories}) < len(categories):
        return
    known = {category.get("name"): category for category in categories}
    if list(known) == list(names):
        return
    _leave_others_out(found, path, classes, report)
    absent = [name for name in names if name not in known]
    where = f"{path}: categories"
    if absent and classes.expected is None:
        has = ", ".join(str(name) for name in known)
        problem = f"has no class '{absent[0]}'{alike(absent[0], [str(name) for name in known])}"
        report(UserError(where, problem, f"choose data.classes of: {has}"))
        return
    ids = [c["id"] for c in categories if isinstance(c.get("id"), int)]
    new = {name: max(ids, default=0) + i for i, name in enumerate(absent, start=1)}
    found.coco["categories"] = [
        known[name] if name in known else {"id": new[name], "name": name} for name in names
    ]
    if absent:
        some = ", ".join(f"'{name}'" for name in absent)
        found.say(where, f"{some} of train not there", "taken as without objects here")
    if [name for name in known if name in names] != [name for name in names if name in known]:
        order = "data.classes" if classes.chosen else "train"
        found.say(where, f"they stand in another order than in {order}", "mapped by their names")
    found.is_changed = True


def _leave_others_out(found: Tidied, path: Path, classes: Classes, report: Report) -> None:
    """Leave out annotations of classes that were not chosen, and categories that nothing has."""
    names = set(classes.expected or classes.chosen or ())
    used = _annotated(found.coco)
    others = [c for c in _items(found.coco, "categories") if c.get("name") not in names]
    if not others:
        return
    if classes.chosen is None:
        for category in others:
            name, number = str(category.get("name")), used[category.get("id")]
            if number:
                problem = f"{number} annotations are of '{name}', which train does not have"
                like = alike(name, sorted(names))
                remedy = "give every split the same classes, or name those to use in data.classes"
                report(UserError(f"{path}: categories", problem + like, remedy))
    ids = {category.get("id") for category in others}
    kept = [
        item
        for item in found.coco["annotations"]
        if not (isinstance(item, dict) and item.get("category_id") in ids)
    ]
    left_out = len(found.coco["annotations"]) - len(kept)
    found.coco["annotations"] = kept
    some = ", ".join(f"'{category.get('name')}'" for category in others[:5])
    more = f" and {len(others) - 5} more" * (len(others) > 5)
    problem = f"{left_out} annotations of other classes ({some}{more})"
    found.say(path, problem, "they are left out")
