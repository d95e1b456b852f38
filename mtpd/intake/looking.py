"""A folder of somebody's data: its format, its split, what it holds, and what is wrong there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter

from mtpd.data.check import DataReport, SplitReport, Target, check_data
from mtpd.data.coco import Judged, judge
from mtpd.data.inspection import Progress
from mtpd.data.sources import splits_of
from mtpd.data.splits import Located, locate_split, rules_of
from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.intake.drawing import Drawn, draw_split
from mtpd.intake.found import Found
from mtpd.intake.recognise import recognise
from mtpd.intake.survey import Survey, classes_of_images, survey
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
            drawn = draw_split(found.parts, classes_of_images(whole.coco), images, group, seed)
            parts = _divided(whole, drawn)
            write_lists(place / "split", drawn)
        bad = sum(len(part.bad) for part in parts.values())
        if bad:
            data["bad_boxes"] = "drop"
            reasons["bad_boxes"] = f"{bad} boxes have no area or leave their image"
        split = {} if drawn is None else {"split": str(place / "split")}
        checked = Target(str(folder), _DATA.validate_python(data | split), whole=False)
        report = _moved(check_data(checked, progress=progress), place / "split", lists)
    counted = {split: {**part.coco, "annotations": part.kept} for split, part in parts.items()}
    seen = survey(counted)
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


def _whole(found: Found, place: Path) -> tuple[dict[str, Any], dict[str, str], Judged, Path]:
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
    if found.data["source"] == "voc":
        at_zero = _n_at_zero(settings, place)
        if at_zero:
            data["first_pixel"] = settings["first_pixel"] = 0
            reasons["first_pixel"] = f"{at_zero} boxes begin at 0"
    checked = _DATA.validate_python(settings)
    located = locate_split(checked, "train", place, None)
    whole = _judged(checked, "train", located)
    if found.data["source"] == "voc":
        data["classes"] = list(whole.classes)
    return data, reasons, whole, located.images


def _n_at_zero(settings: dict[str, Any], place: Path) -> int:
    """Boxes of XML files whose first pixel is numbered 0. A split may happen to have none."""
    data = _DATA.validate_python({**settings, "first_pixel": 1})
    coco = read_json(locate_split(data, "train", place, None).annotations)
    return sum(min(item["bbox"][:2]) < 0 for item in coco["annotations"])


def _splits(data: Any, place: Path) -> dict[str, Judged]:
    """What each split holds."""
    found: dict[str, Judged] = {}
    for split in splits_of(data):
        classes = found["train"].classes if found else None
        found[split] = _judged(data, split, locate_split(data, split, place, classes), classes)
    return found


def _judged(
    data: Any, split: str, located: Located, classes: tuple[str, ...] | None = None
) -> Judged:
    """An instances file as it will be used; the check of the data says what is wrong with it.

    Raises:
        UserError: Nothing of it can be used.
    """
    path = located.annotations
    rules = rules_of(data, split, classes)
    found = judge(path, read_json(path), located.images, rules, lambda _: None)
    if not found.coco["images"] or not found.kept:
        raise UserError(path, "has no image with a box", "annotate at least one object")
    return found


def _divided(whole: Judged, drawn: Drawn) -> dict[str, Judged]:
    """The images of each split, with their annotations."""
    side = {name: split for split, names in drawn.parts.items() for name in names}
    of_image = {image["id"]: side.get(image["file_name"]) for image in whole.coco["images"]}
    found = {}
    for split in drawn.parts:
        places = [
            i
            for i, item in enumerate(whole.coco["annotations"])
            if of_image[item["image_id"]] == split
        ]
        coco = {
            "categories": whole.coco["categories"],
            "images": [item for item in whole.coco["images"] if of_image[item["id"]] == split],
            "annotations": [whole.coco["annotations"][i] for i in places],
        }
        bad = {new: whole.bad[i] for new, i in enumerate(places) if i in whole.bad}
        found[split] = replace(whole, coco=coco, bad=bad)
    return found


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
