"""What the report says from kept detections; no model runs for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mtpd.data.dataset import Split
from mtpd.errors import UserError
from mtpd.evaluation.coco import PrecisionCurves, precision_curves
from mtpd.evaluation.errors import count_errors, f1_of_images, most_useful_threshold
from mtpd.evaluation.judging import Judged, Outcome, judge
from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.reporting.page.content import Box, ErrorsOfModel, Model, Panel, Picture, Pictures
from mtpd.reporting.page.images import photo_uri

PICTURES = 8


class Detections:
    """The detections of some models on one split, judged when they are first asked for.

    Args:
        name: Of the split.
        split: Where it lies.
        models: Those whose detections are kept, with their folders.
    """

    def __init__(self, name: str, split: Split, models: Mapping[Model, ModelFolder]) -> None:
        self.name, self.split, self.models = name, split, models
        self._judged: dict[Model, Judged] = {}

    @cached_property
    def instances(self) -> dict[str, Any]:
        """The split's annotations."""
        found: dict[str, Any] = read_json(self.split.annotations)
        return found

    @property
    def objects(self) -> dict[str, int]:
        """Class → number of annotated objects, without crowds."""
        names = {one["id"]: one["name"] for one in self.instances["categories"]}
        counts = dict.fromkeys(names.values(), 0)
        for annotation in self.instances["annotations"]:
            counts[names[annotation["category_id"]]] += not annotation.get("iscrowd")
        return counts

    def precision(self) -> tuple[tuple[Model, PrecisionCurves], ...]:
        """Curves of every model."""
        # Annotations are numbered anew by the evaluation; so each has its own copy.
        return tuple(
            (model, precision_curves(read_json(self.split.annotations), self._found(model)))
            for model in self.models
        )

    def errors(self) -> tuple[ErrorsOfModel, ...]:
        """Kinds of errors of every model at its most useful threshold."""
        found = []
        for model in self.models:
            judged = self._of(model)
            threshold = most_useful_threshold(judged)
            found.append(ErrorsOfModel(model, count_errors(judged, threshold), threshold))
        return tuple(found)

    def pictures(self, students: list[Model]) -> Pictures:
        """The images in which ``students`` differ most.

        The measure: highest less lowest F1 in the image, each student at the score at which its F1
        over the split is highest. Of equals, the image with more objects comes first.
        """
        thresholds = {model: most_useful_threshold(self._of(model)) for model in students}
        ids = [image["id"] for image in self.instances["images"]]
        f1 = {model: f1_of_images(self._of(model), thresholds[model], ids) for model in students}
        objects = dict.fromkeys(ids, 0)
        for annotation in self.instances["annotations"]:
            objects[annotation["image_id"]] += not annotation.get("iscrowd")
        spread = {
            image: max(own[image] for own in f1.values()) - min(own[image] for own in f1.values())
            for image in ids
        }
        differing = [image for image in ids if spread[image] > 0]
        chosen = sorted(differing, key=lambda image: (-spread[image], -objects[image], image))
        images = {image["id"]: image for image in self.instances["images"]}
        pictures = []
        for number in chosen[:PICTURES]:
            panels = [Panel(None, self._truth(number))]
            panels += [
                Panel(model, self._boxes(model, number, thresholds[model]), f1[model][number])
                for model in students
            ]
            pictures.append(self._picture(images[number], tuple(panels), spread[number]))
        return Pictures(self.name, len(ids), tuple(thresholds.items()), tuple(pictures))

    def _picture(
        self, image: Mapping[str, Any], panels: tuple[Panel, ...], spread: float
    ) -> Picture:
        uri = photo_uri(self.split.images / image["file_name"])
        size = (int(image["width"]), int(image["height"]))
        return Picture(image["id"], image["file_name"], uri, *size, panels, spread)

    def _truth(self, image: int) -> tuple[Box, ...]:
        return tuple(
            Box(tuple(one["bbox"]), self._names[one["category_id"]], "object")
            for one in self.instances["annotations"]
            if one["image_id"] == image and not one.get("iscrowd")
        )

    def _boxes(self, model: Model, image: int, threshold: float) -> tuple[Box, ...]:
        """What a model has found in an image, the best last, over what it has missed."""
        judged = self._of(model)
        missed = (judged.objects.image == image) & judged.missed(threshold)
        boxes = [
            Box(tuple(judged.objects.box[i]), self._names[int(judged.objects.label[i])], "missed")
            for i in missed.nonzero()[0]
        ]
        shown = (judged.image == image) & (judged.score >= threshold)
        shown &= judged.outcome != Outcome.IGNORED
        for i in shown.nonzero()[0][::-1]:
            text = f"{self._names[int(judged.label[i])]} {judged.score[i]:.2f}"
            boxes.append(Box(tuple(judged.box[i]), text, Outcome(judged.outcome[i])))
        return tuple(boxes)

    @cached_property
    def _names(self) -> dict[int, str]:
        return {one["id"]: one["name"] for one in self.instances["categories"]}

    def _of(self, model: Model) -> Judged:
        if model not in self._judged:
            self._judged[model] = judge(self.instances, self._found(model))
        return self._judged[model]

    def _found(self, model: Model) -> list[dict[str, Any]]:
        path = self.models[model].detections_of(self.name, "bbox")
        found = read_json(path, "run the evaluate step again")
        if not isinstance(found, list):
            raise UserError(path, "is no list of detections", "run the evaluate step again")
        return found
