"""The prepared data set that every later step reads: classes, and where each split lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mtpd.files import read_json, write_json

Protocol = Literal["coco", "crowdhuman", "streaming"]
"""Which figures beside COCO's a data set is judged by."""


@dataclass(frozen=True)
class Split:
    """One split in COCO format.

    Attributes:
        annotations: Instances JSON.
        images: Folder that its file names are relative to.
        n_images: Number of images.
        n_boxes: Number of annotated boxes, crowds included.
        sha256: Of the annotations' bytes.
    """

    annotations: Path
    images: Path
    n_images: int
    n_boxes: int
    sha256: str

    def image_ids(self) -> list[int]:
        """Ids of the split's images, in the order of the file."""
        return [image["id"] for image in read_json(self.annotations)["images"]]


@dataclass(frozen=True)
class Dataset:
    """Classes and splits (``train``, ``val``, ``test``) of a prepared data set.

    Where the experiment names no test split, ``test`` is absent and ``val`` is what is reported.
    """

    classes: tuple[str, ...]
    has_masks: bool
    splits: dict[str, Split]
    protocol: Protocol = "coco"

    @property
    def reported(self) -> str:
        """The split whose figures stand in the table."""
        return "test" if "test" in self.splits else "val"

    @classmethod
    def load(cls, path: Path) -> Dataset:
        """Read what :meth:`save` wrote."""
        raw = read_json(path, "run the data step first")
        splits = {
            name: Split(Path(split.pop("annotations")), Path(split.pop("images")), **split)
            for name, split in raw["splits"].items()
        }
        return cls(tuple(raw["classes"]), raw["has_masks"], splits, raw.get("protocol", "coco"))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        raw = asdict(self)
        for split in raw["splits"].values():
            split["annotations"] = str(split["annotations"])
            split["images"] = str(split["images"])
        write_json(path, raw)
