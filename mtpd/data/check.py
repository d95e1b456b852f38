"""What is there of one or several data sets, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mtpd.data.counts import Counts
from mtpd.data.inspection import Inspection, Progress, inspect_coco
from mtpd.data.leaks import shared_pictures
from mtpd.data.published import COUNTS, PUBLISHED
from mtpd.data.sources import images_folder, listing, splits_of
from mtpd.data.splits import empty_images, locate_split, rules_of
from mtpd.errors import UserError
from mtpd.settings.data import CrowdHumanData, Data, FiledData, ShapesData, YoloData


@dataclass(frozen=True)
class Target:
    """A data set to look at.

    Attributes:
        name: How it is called on the screen: the published data set, or the experiments.
        data: Where its files are expected.
        whole: Other counts than the published ones are a problem; an experiment's data may be a
            part of a data set.
    """

    name: str
    data: Data
    whole: bool


@dataclass(frozen=True)
class SplitReport:
    """One split.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        root: Folder of the data set.
        annotations: Where they are expected in ``root``.
        images: Folders in ``root`` where images are expected.
        published: What the data set of this name has, as far as it is known.
        inspection: What was found; None: the annotations could not be used.
        problems: Everything that must be mended.
        remarks: What is as it may be, but must not go unsaid.
    """

    name: str
    root: Path
    annotations: Path
    images: tuple[Path, ...]
    published: Counts
    inspection: Inspection | None = None
    problems: tuple[UserError, ...] = ()
    remarks: tuple[UserError, ...] = ()


@dataclass(frozen=True)
class DataReport:
    """One data set; without ``root`` it is generated, and there is nothing to look at."""

    name: str
    root: Path | None
    splits: tuple[SplitReport, ...]
    own_problems: tuple[UserError, ...] = ()
    own_remarks: tuple[UserError, ...] = ()

    @property
    def problems(self) -> list[UserError]:
        """Of the data set and of all splits; what several splits have in common is there once."""
        every = [*self.own_problems, *(p for split in self.splits for p in split.problems)]
        return list({str(problem): problem for problem in every}.values())

    @property
    def remarks(self) -> list[UserError]:
        """Of the data set and of all splits."""
        return [*self.own_remarks, *(r for split in self.splits for r in split.remarks)]


def published_target(name: str, root: Path) -> Target:
    """The whole published data set called ``name`` in :data:`mtpd.data.published.PUBLISHED`."""
    return Target(name, PUBLISHED[name](root), whole=True)


def targets_of(experiments: Iterable[tuple[str, Data]]) -> list[Target]:
    """The data sets of experiments by name; those that several share are there once."""
    names: list[tuple[Data, list[str]]] = []
    for name, data in experiments:
        known = next((found for other, found in names if other == data), None)
        if known is None:
            names.append((data, [name]))
        else:
            known.append(name)
    return [Target(", ".join(found), data, whole=False) for data, found in names]


def check_data(
    target: Target,
    *,
    decode: bool = False,
    strict: bool = False,
    progress: Callable[[str], Progress] = lambda _: lambda _: lambda: None,
) -> DataReport:
    """Go through every split; nothing is changed, and nothing stops at the first problem.

    Args:
        target: The data set.
        decode: Decode every image whole.
        strict: A picture that is in two splits is a problem, not a remark.
        progress: Gives for each split's name what is told how far its images are.
    """
    data = target.data
    if isinstance(data, ShapesData):
        return DataReport(target.name, None, ())
    expected = [_expected(data, split) for split in splits_of(data)]
    if not data.root.is_dir():
        problem = UserError(data.root, "is not a folder", "put the data set there")
        return DataReport(target.name, data.root, tuple(expected), (problem,))
    splits: list[SplitReport] = []
    with TemporaryDirectory() as folder:
        for split in expected:
            first = splits[0].inspection if splits else None
            classes = first.classes or None if first is not None else None
            bar = progress(split.name)
            splits.append(_checked(target, split, Path(folder), classes, decode, bar))
    files = {part.name: part.inspection.files for part in splits if part.inspection is not None}
    shared = tuple(shared_pictures(data.root, files))
    own = (shared, ()) if strict else ((), shared)
    return DataReport(target.name, data.root, tuple(splits), *own)


def _expected(data: FiledData, name: str) -> SplitReport:
    """Where a split belongs, and what it has as published."""
    listed = listing(data, name).absolute()
    inside = listed.is_relative_to(data.root.absolute())
    annotations = listed.relative_to(data.root.absolute()) if inside else listed
    images: tuple[Path, ...] = ()
    if isinstance(data, CrowdHumanData):
        images = data.images
    elif not isinstance(data, YoloData):
        images = (images_folder(data, name, Path()).relative_to(data.root),)
    published = COUNTS.get(data.source, {}).get(annotations.name, Counts())
    return SplitReport(name, data.root, annotations, images, published)


def _checked(
    target: Target,
    split: SplitReport,
    folder: Path,
    classes: tuple[str, ...] | None,
    decode: bool,
    progress: Progress,
) -> SplitReport:
    """``split`` with what was found; ``classes`` are those of the first split."""
    data = target.data
    assert not isinstance(data, ShapesData)
    source = data.root / split.annotations
    try:
        located = locate_split(data, split.name, folder, classes)
        inspection = inspect_coco(
            located.annotations,
            located.images,
            rules_of(data, split.name, classes, decode),
            source=source,
            progress=progress,
        )
    except UserError as error:
        return replace(split, problems=error.parts or (error,))
    problems, remarks = [*inspection.problems], [*located.remarks, *inspection.remarks]
    number = inspection.counts.images or 0
    remarks += empty_images(data, split.name, source, inspection.empty, number)
    remarks += [*inspection.left_out, *inspection.odd]
    others = problems if target.whole else remarks
    others += _other_counts(source, split.published, inspection.counts)
    return replace(split, inspection=inspection, problems=tuple(problems), remarks=tuple(remarks))


def _other_counts(where: Path, published: Counts, found: Counts) -> Iterable[UserError]:
    for field in fields(Counts):
        expected, number = getattr(published, field.name), getattr(found, field.name)
        if None not in (expected, number) and number != expected:
            problem = f"has {number} {field.name}, the published data set has {expected}"
            yield UserError(where, problem, "give the whole of it for the papers' figures")
