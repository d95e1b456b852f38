"""A folder of somebody's data: its format, its split, what it holds, and what is wrong there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter

from mtpd.data.check import DataReport, SplitReport, Target, check_data
from mtpd.data.coco import BORDER, find_bad_boxes, sound_parts
from mtpd.data.inspection import Progress
from mtpd.data.sources import splits_of
from mtpd.data.splits import locate_split
from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.intake.drawing import Drawn, draw_split
from mtpd.intake.found import Found
from mtpd.intake.recognise import recognise
from mtpd.intake.survey import Coco, Survey, classes_of_images, survey
from mtpd.settings.data import Data

_DATA: TypeAdapter[Any] = TypeAdapter(Data)


@dataclass(frozen=True)
class Seen:
    """A folder, looked at.

    Attributes:
        kind: Its format, in words.
        drawn: Its lists of images; None: it has splits that need none.
        data: Settings of ``data``, without ``split``.
        reasons: Comments on them, by key.
        survey: What it holds.
        report: What is wrong with it.
        remarks: What must be said of it.
    """

    kind: str
    drawn: Drawn | None
    data: dict[str, Any]
    reasons: dict[str, str]
    survey: Survey
    report: DataReport
    remarks: tuple[str, ...]


def look_at(
    folder: Path,
    lists: Path,
    wanted: str | None = None,
    group: str | None = None,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda _: lambda _: lambda: None,
) -> Seen:
    """Recognise what lies in a folder, draw a split if it has none, and count.

    Args:
        folder: Of images and annotations, which are not changed.
        lists: Where the lists of a split would lie; problems name them there.
        wanted: The format to look for; None: any.
        group: Regular expression of what names of images share that stay together.
        seed: Of the split.
        progress: As for :func:`mtpd.data.check.check_data`.

    Raises:
        UserError: It cannot be used as it is.
    """
    found = recognise(folder, wanted)
    with TemporaryDirectory(prefix="mtpd-") as temporary:
        place = Path(temporary)
        if found.parts is None:
            if group is not None:
                problem = "is for data without a split, and this has one"
                raise UserError("--group", problem, "leave it away")
            data, reasons, drawn = dict(found.data), dict[str, str](), None
            parts = _splits(_DATA.validate_python(data), place)
        else:
            data, reasons, whole, images = _whole(found, place)
            drawn = draw_split(found.parts, classes_of_images(whole), images, group, seed)
            parts = _divided(whole, drawn)
            write_lists(place / "split", drawn)
        bad = sum(_n_bad(coco) for coco in parts.values())
        if bad:
            data["bad_boxes"] = "drop"
            reasons["bad_boxes"] = f"{bad} boxes have no area or leave their image"
        split = {} if drawn is None else {"split": str(place / "split")}
        checked = Target(str(folder), _DATA.validate_python(data | split), whole=False)
        report = _moved(check_data(checked, progress=progress), place / "split", lists)
    seen = survey({split: _countable(coco) for split, coco in parts.items()})
    said = [*found.remarks, *(drawn.remarks if drawn else ()), *_without_boxes(seen)]
    if bad:
        said.append(f"{bad} boxes have no area or leave their image: not trained on")
    return Seen(found.kind, drawn, data, reasons, seen, report, tuple(said))


def write_lists(folder: Path, drawn: Drawn) -> None:
    """Write the lists of images of a split."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in drawn.parts.items():
        text = "".join(f"{name}\n" for name in names)
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")


def _whole(found: Found, place: Path) -> tuple[dict[str, Any], dict[str, str], Coco, Path]:
    """All images of a data set that has no split, as one.

    Returns:
        Settings of ``data``, with what the parts of a split must have in common; comments on them;
        the images with their annotations; and the folder that their names are relative to.
    """
    assert found.parts is not None
    names = dict.fromkeys(name for part in found.parts.values() for name in part)
    write_lists(place / "whole", Drawn({"train": tuple(names)}, ()))
    settings = {**found.data, "split": str(place / "whole")}
    data, reasons = dict(found.data), dict[str, str]()
    if found.data["source"] != "voc":
        located = locate_split(_DATA.validate_python(settings), "train", place, None)
        return data, reasons, _sound(located.annotations), located.images
    voc = _DATA.validate_python({**settings, "first_pixel": 1})
    located = locate_split(voc, "train", place, None)
    at_zero = sum(min(box["bbox"][:2]) < 0 for box in _sound(located.annotations)["annotations"])
    if at_zero:
        data["first_pixel"] = settings["first_pixel"] = 0
        reasons["first_pixel"] = f"{at_zero} boxes begin at 0"
        located = locate_split(_DATA.validate_python(settings), "train", place, None)
    whole = _sound(located.annotations)
    data["classes"] = [category["name"] for category in whole["categories"]]
    return data, reasons, whole, located.images


def _splits(data: Any, place: Path) -> dict[str, Coco]:
    found: dict[str, Coco] = {}
    for split in splits_of(data):
        classes = tuple(c["name"] for c in found["train"]["categories"]) if found else None
        found[split] = _sound(locate_split(data, split, place, classes).annotations)
    return found


def _sound(path: Path) -> Coco:
    """What can be counted of an instances file; the check of the data says what is wrong."""
    parts = sound_parts(path, read_json(path), lambda _: None)
    if not parts["images"] or not parts["annotations"]:
        raise UserError(path, "has no image with a box", "annotate at least one object")
    return parts


def _divided(whole: Coco, drawn: Drawn) -> dict[str, Coco]:
    """The images of each split, with their annotations."""
    side = {name: split for split, names in drawn.parts.items() for name in names}
    of_image = {image["id"]: side.get(image["file_name"]) for image in whole["images"]}
    return {
        split: {
            **whole,
            "images": [item for item in whole["images"] if of_image[item["id"]] == split],
            "annotations": [
                item for item in whole["annotations"] if of_image[item["image_id"]] == split
            ],
        }
        for split in drawn.parts
    }


def _moved(report: DataReport, lists: Path, new: Path) -> DataReport:
    """The report as it would be with the lists in their place.

    It is without what is said here with a count: images that no list has, and boxes left out.
    """

    def moved(errors: tuple[UserError, ...]) -> tuple[UserError, ...]:
        return tuple(
            UserError(
                error.where.replace(str(lists), str(new)),
                error.problem.replace(str(lists), str(new)),
                error.remedy,
            )
            for error in errors
            if error.where != str(lists)
        )

    def kept(split: SplitReport) -> tuple[UserError, ...]:
        left_out = split.inspection.left_out if split.inspection else ()
        return tuple(remark for remark in split.remarks if remark not in left_out)

    splits = tuple(
        replace(split, problems=moved(split.problems), remarks=moved(kept(split)))
        for split in report.splits
    )
    return replace(report, splits=splits)


def _without_boxes(seen: Survey) -> list[str]:
    """What to say of classes that a split has not a single box of."""
    remarks = []
    for split, part in seen.splits.items():
        names = [name for name, count in part.boxes_per_class.items() if not count]
        if names:
            more = f" and {len(names) - 3} more classes" if len(names) > 3 else ""
            remarks.append(f"{split} has no box of {', '.join(names[:3])}{more}")
    return remarks


def _n_bad(coco: Coco) -> int:
    return len(find_bad_boxes(coco, BORDER))


def _countable(coco: Coco) -> Coco:
    """Without boxes that cannot be used."""
    bad = find_bad_boxes(coco, BORDER)
    return {**coco, "annotations": [a for i, a in enumerate(coco["annotations"]) if i not in bad]}
