"""The prepared data set that every later step reads: classes, and where each split lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtpd.data.coco import count_empty
from mtpd.data.sources import Protocol, images_folder, own_annotations
from mtpd.errors import UserError
from mtpd.files import read_json, write_json
from mtpd.settings.data import Data


@dataclass(frozen=True)
class Split:
    """One split in COCO format.

    Attributes:
        annotations: Instances JSON.
        images: Folder that its file names are relative to.
        n_images: Number of images.
        n_boxes: Number of annotated boxes, crowds included.
        sha256: Of the annotations' bytes.
        sample: File names of some images, by whose bytes the whole is known again; none: they are
            generated.
        sample_sha256: Digest of these images' bytes.
        image_size: Width and height of every image, where all have the same.
        n_empty: Images without annotations; None: an earlier version did not note it.
    """

    annotations: Path
    images: Path
    n_images: int
    n_boxes: int
    sha256: str
    sample: tuple[str, ...] = ()
    sample_sha256: str = ""
    image_size: tuple[int, int] | None = None
    n_empty: int | None = None

    def image_ids(self) -> list[int]:
        """Ids of the split's images, in the order of the file."""
        return [image["id"] for image in read_json(self.annotations)["images"]]

    @property
    def has_empty(self) -> bool:
        """Whether there are images without annotations."""
        found = count_empty(read_json(self.annotations)) if self.n_empty is None else self.n_empty
        return found > 0


@dataclass(frozen=True)
class Dataset:
    """Classes and splits (``train``, ``val``, ``test``) of a prepared data set.

    Where the experiment names no test split, ``test`` is absent and ``val`` is what is reported.
    The file says what was found, not where: the places come from the experiment at hand, so that
    data and results may be moved.

    Attributes:
        unmasked: The first annotation without a mask, and how many there are.
    """

    classes: tuple[str, ...]
    has_masks: bool
    splits: dict[str, Split]
    protocol: Protocol = "coco"
    unmasked: str = ""

    @property
    def reported(self) -> str:
        """The split whose figures stand in the table."""
        return "test" if "test" in self.splits else "val"

    @classmethod
    def load(cls, path: Path, data: Data) -> Dataset:
        """Read what :meth:`save` wrote.

        Args:
            path: Of ``dataset.json``.
            data: The experiment's; says where the user's own files lie.

        Raises:
            UserError: It cannot be read, or another version wrote it.
        """
        raw = read_json(path, "run the data step first")
        try:
            splits = {
                name: _located(split, data, name, path.parent.absolute())
                for name, split in raw["splits"].items()
            }
            return cls(
                tuple(raw["classes"]),
                raw["has_masks"],
                splits,
                raw["protocol"],
                raw.get("unmasked", ""),
            )
        except (KeyError, TypeError, AttributeError) as error:
            problem = "was written by another version"
            raise UserError(path, problem, "run the data step again") from error

    def save(self, path: Path) -> None:
        """Write as JSON; annotations that were made beside the file are named by it."""
        raw = asdict(self)
        for split in raw["splits"].values():
            del split["images"]
            annotations = split["annotations"].absolute()
            is_made = annotations.is_relative_to(path.parent.absolute())
            split["annotations"] = (
                str(annotations.relative_to(path.parent.absolute())) if is_made else None
            )
        write_json(path, raw)


def _located(raw: dict[str, Any], data: Data, name: str, folder: Path) -> Split:
    """A split with the places of its files; ``folder`` is that of the prepared data."""
    made = raw["annotations"]
    own = own_annotations(data, name) if made is None else folder / made
    if own is None:
        raise KeyError(name)
    return Split(
        annotations=own.absolute(),
        images=images_folder(data, name, folder).absolute(),
        n_images=raw["n_images"],
        n_boxes=raw["n_boxes"],
        sha256=raw["sha256"],
        sample=tuple(raw.get("sample", ())),
        sample_sha256=raw.get("sample_sha256", ""),
        image_size=tuple(raw["image_size"]) if raw.get("image_size") else None,
        n_empty=raw.get("n_empty"),
    )
