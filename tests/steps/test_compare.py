"""Two models side by side: figures by COCO's protocol, and the images on which they differ."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of, write_json
from mtpd.overview.models import Model
from mtpd.reporting.using import print_comparison
from mtpd.steps.compare import compare, differing, write_comparison
from mtpd.steps.detections import SplitData, detections_of_model

MODELS = (Model("one", Path("a"), None), Model("other", Path("b"), None))


@pytest.fixture
def data(tmp_path: Path) -> SplitData:
    """Three images with two objects each: of category 5 on the left, of 9 on the right."""
    images, annotations = [], []
    for number in (1, 2, 3):
        name = f"{number}.png"
        Image.fromarray(np.full((40, 80, 3), 60 * number, np.uint8)).save(tmp_path / name)
        images.append({"id": number, "file_name": name, "width": 80, "height": 40})
        for category, x in ((5, 5), (9, 45)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "bbox": [x, 5, 30, 30],
                    "area": 900,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 5, "name": "left"}, {"id": 9, "name": "right"}]
    path = tmp_path / "truth.json"
    write_json(path, {"images": images, "annotations": annotations, "categories": categories})
    return SplitData(
        "val", path, tmp_path, tuple(images), ("left", "right"), (5, 9), has_masks=False
    )


def found(*items: tuple[int, int, float, float]) -> Any:
    """Detections of 30 x 30 pixels: image, category, x, score."""
    return {
        "bbox": [
            {"image_id": image, "category_id": category, "bbox": [x, 5, 30, 30], "score": score}
            for image, category, x, score in items
        ]
    }


ALL = [(image, category, x, 0.9) for image in (1, 2, 3) for category, x in ((5, 5), (9, 45))]
# Image 2: the right one is missing; image 3: both are, and one is seen where none is.
FEWER = [*ALL[:3], (3, 5, 45, 0.8)]


def test_figures_and_the_images_that_differ(data: SplitData) -> None:
    comparison = compare(MODELS, (found(*FEWER), found(*ALL)), data, 0.3)
    rows = {key: (first, second) for key, first, second in comparison.rows()}
    assert rows["bbox_mAP"][1] == pytest.approx(1)
    # Found are two of three on the left, without an error before them, and one of three right.
    left, right = 67 / 101, 34 / 101
    assert rows["bbox_mAP of left"] == (pytest.approx(left), pytest.approx(1))
    assert rows["bbox_mAP of right"] == (pytest.approx(right), pytest.approx(1))
    assert rows["bbox_mAP"][0] == pytest.approx((left + right) / 2)
    assert [own.image["id"] for own in comparison.differences] == [3, 2, 1]
    assert [own.gain for own in comparison.differences] == pytest.approx([1, 1 / 3, 0])
    assert [own.image["id"] for own in differing(comparison, 12)] == [3, 2]
    assert [own.image["id"] for own in differing(comparison, 1)] == [3]


def test_detections_below_the_threshold_do_not_count_for_single_images(data: SplitData) -> None:
    unsure = [(image, category, x, 0.2) for image, category, x, _ in ALL]
    assert all(own.gain == -1 for own in
               compare(MODELS, (found(*ALL), found(*unsure)), data, 0.3).differences)  # fmt: skip
    assert not differing(compare(MODELS, (found(*ALL), found(*unsure)), data, 0.1), 12)


def test_what_is_written(data: SplitData, tmp_path: Path) -> None:
    both = found(*FEWER), found(*ALL)
    comparison = compare(MODELS, both, data, 0.3)
    out = tmp_path / "out"
    for _ in range(2):  # the second takes the place of the first
        write_comparison(comparison, both, data, out, 0.3, 12)
    written = read_json(out / "comparison.json")
    assert written["models"] == ["one", "other"]
    assert written["by_image"][0]["found"] == [0, 2]
    assert written["by_image"][0]["wrong"] == [1, 0]
    assert sorted(path.name for path in (out / "images").iterdir()) == ["01_3.png", "02_2.png"]
    with Image.open(out / "images" / "01_3.png") as picture:
        assert picture.width == 3 * 640 + 2 * 8
    (out / "notes.txt").write_text("")
    with pytest.raises(UserError, match="holds other files than a comparison"):
        write_comparison(comparison, both, data, out, 0.3, 12)


def test_what_is_printed(data: SplitData) -> None:
    comparison = compare(MODELS, (found(*FEWER), found(*ALL)), data, 0.3)
    console = Console(file=io.StringIO(), width=120)
    images = [(own.image["file_name"], own.scores) for own in comparison.differences]
    print_comparison(comparison.models, "3 images of val", comparison.rows(), images, console)
    text = console.file.getvalue()
    assert "box AP" in text
    assert "AP of left" in text
    assert "+33.7" in text
    assert "0/2/1" in text


def test_detections_of_the_evaluation_are_used_if_the_weights_are_the_same(
    data: SplitData, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    (folder / "detections").mkdir(parents=True)
    weights = folder / "model.pth"
    weights.write_bytes(b"weights")
    write_json(folder / "detections" / "val.bbox.json", found(*ALL)["bbox"])
    write_json(folder / "metrics.json", {"weights_sha256": sha256_of(weights)})
    model = Model("micro/a", weights, Path("config.py"), "micro")

    def opened() -> Any:
        raise AssertionError

    def of(experiment: str) -> Any:
        return detections_of_model(
            model, opened, data, ["bbox"], experiment, 1, lambda _: lambda: None
        )

    assert of("micro") == found(*ALL)
    with pytest.raises(AssertionError):
        of("another")
    weights.write_bytes(b"other weights")
    with pytest.raises(AssertionError):
        of("micro")
