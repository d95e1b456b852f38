"""The settings of an experiment's data: one class for each source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mtpd.settings.values import SettingError, Settings, Text, UserPath, UserPaths

BadBoxes = Literal["error", "drop"]
EmptyImages = Literal["keep", "drop"]

SPLIT_IT = "'mtpd init' makes a split"


class ShapesData(Settings):
    """A generated data set of geometric shapes with boxes and instance masks."""

    source: Literal["shapes"]
    train: int = Field(gt=0, description="Number of training images")
    val: int = Field(gt=0, description="Number of validation images")
    test: int | None = Field(default=None, gt=0, description="Test images; none: val is reported")
    size: int = Field(default=128, ge=32, description="Side of the square images in pixels")
    seed: int = 0


class OwnData(Settings):
    """What the sources of people's own data have in common."""

    root: UserPath = Field(description="Folder of the data set")
    split: UserPath | None = Field(
        default=None,
        description="Folder with train.txt, val.txt and perhaps test.txt, one image file a line; "
        "they take the place of the source's own splits",
    )
    classes: tuple[Text, ...] | None = Field(
        default=None, min_length=1, description="Class names in the order of their labels"
    )
    bad_boxes: BadBoxes = Field(
        default="error",
        description="Boxes outside their image or of no area: stop, or leave out of training",
    )
    empty_images: EmptyImages = Field(
        default="keep", description="Whether images without boxes are trained on"
    )

    @field_validator("classes")
    @classmethod
    def _each_once(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in classes or ():
            if classes is not None and classes.count(name) > 1:
                raise SettingError("", f"names '{name}' twice", "take one out")
        return classes


class CocoSplit(Settings):
    """One split of a COCO-format data set, relative to ``data.root``."""

    annotations: UserPath = Field(description="Instances JSON")
    images: UserPath = Field(description="Folder that the JSON's file names are relative to")


class CocoData(OwnData):
    """A data set in COCO format: a file for each split, or all in one that ``split`` divides."""

    source: Literal["coco"]
    train: CocoSplit | None = None
    val: CocoSplit | None = None
    test: CocoSplit | None = Field(default=None, description="None: val is reported")
    annotations: UserPaths | None = Field(
        default=None,
        description="Instances JSON of all images, or several that are put together; needs split",
    )
    images: UserPaths | None = Field(
        default=None,
        description="Folder that the file names of annotations are relative to, or one for each",
    )

    @field_validator("train", "val", "test", mode="before")
    @classmethod
    def _no_fraction(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            problem = f"is {value}, not where annotations and images lie"
            raise SettingError("", problem, f"give annotations, images and split; {SPLIT_IT}")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> CocoData:
        whole = {"annotations": self.annotations, "images": self.images, "split": self.split}
        parts = {"train": self.train, "val": self.val}
        if any(value is not None for value in whole.values()):
            self._check_whole(whole)
            return self
        for key, value in parts.items():
            if value is None:
                remedy = f"add it, or give annotations, images and split; {SPLIT_IT}"
                raise SettingError(key, "key is missing", remedy)
        return self

    def _check_whole(self, whole: Mapping[str, object]) -> None:
        """With ``split``, one place says which annotations there are, and no key is missing."""
        for key in ("train", "val", "test"):
            if getattr(self, key) is not None:
                given = next(name for name, value in whole.items() if value is not None)
                raise SettingError(key, f"stands beside {given}", "leave one of them out")
        for key, value in whole.items():
            if value is None:
                remedy = f"add it; {SPLIT_IT}" if key == "split" else "add it"
                raise SettingError(key, "key is missing", remedy)
        assert self.annotations is not None
        assert self.images is not None
        if len(self.images) not in (1, len(self.annotations)):
            problem = f"names {len(self.images)} folders for {len(self.annotations)} annotations"
            raise SettingError("images", problem, "give one folder, or one for each")


class VocData(OwnData):
    """A data set of Pascal VOC's XML files, in VOC's layout or flat."""

    source: Literal["voc"]
    train: Text = Field(default="train", description="List in data.lists, without .txt")
    val: Text = "val"
    test: Text | None = Field(default="test", description="None, or no such list: val is reported")
    annotations: UserPath = Field(
        default=Path("Annotations"), description="Folder of the XML files; '.' is the root itself"
    )
    images: UserPath = Field(default=Path("JPEGImages"), description="Folder of the images")
    lists: UserPath = Field(default=Path("ImageSets/Main"), description="Folder of the lists")
    first_pixel: Literal[0, 1] | None = Field(
        default=None,
        description="Number of the first pixel of a row; none: 1, or 0 where train has such boxes",
    )
    keep_difficult: bool = Field(
        default=False,
        description="Learn and count objects marked difficult; otherwise they are neither found "
        "nor missed",
    )


class YoloData(OwnData):
    """A data set in YOLO's format: a data.yaml, and a text file of boxes for each image."""

    source: Literal["yolo"]
    file: UserPath = Field(
        default=Path("data.yaml"), description="Names and splits, relative to data.root"
    )
    train: Text = Field(
        default="train",
        description="Key of the file; or a folder, a list or a glob relative to data.root",
    )
    val: Text = "val"
    test: Text | None = Field(default="test", description="None, or no such key: val is reported")


class ArgoverseHdData(Settings):
    """Argoverse-HD, as published: 30 frames a second, evaluated with streaming accuracy too."""

    source: Literal["argoverse_hd"]
    root: UserPath = Field(description="Folder of Argoverse-HD and Argoverse-1.1")
    train: UserPath = Path("Argoverse-HD/annotations/train.json")
    val: UserPath = Path("Argoverse-HD/annotations/val.json")
    test: UserPath | None = Field(default=None, description="None: val is reported")
    images: UserPath = Field(
        default=Path("Argoverse-1.1/tracking"), description="Folder of the sequences' folders"
    )
    bad_boxes: BadBoxes = "error"
    empty_images: EmptyImages = "drop"


class CrowdHumanData(Settings):
    """CrowdHuman as it is published; persons' full boxes are what is detected."""

    source: Literal["crowdhuman"]
    root: UserPath = Field(description="Folder of the data set")
    train: UserPath = Field(
        default=Path("annotation_train.odgt"), description="Relative to data.root"
    )
    val: UserPath = Path("annotation_val.odgt")
    test: UserPath | None = Field(
        default=None, description="None: val is reported, as annotations of test are not public"
    )
    images: tuple[UserPath, ...] = Field(
        default=(Path("Images"),),
        min_length=1,
        description="Folders that together hold the images of all splits, relative to data.root",
    )
    bad_boxes: BadBoxes = Field(
        default="drop",
        description="Boxes of no area or wholly outside their image: stop, or not trained on",
    )
    empty_images: EmptyImages = "drop"


FiledData = CocoData | VocData | YoloData | ArgoverseHdData | CrowdHumanData
"""Data that lies in files of the user's."""

Data = Annotated[ShapesData | FiledData, Field(discriminator="source")]


def keeps_empty_images(data: ShapesData | FiledData) -> bool:
    """Whether images without boxes are trained on; generated ones all have some."""
    return not isinstance(data, ShapesData) and data.empty_images == "keep"
