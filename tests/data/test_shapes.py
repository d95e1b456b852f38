"""The generated data set: repeatable, and its boxes, masks and areas agree."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mtpd.data import shapes
from mtpd.data.coco import check_coco
from mtpd.data.shapes import SHAPES, draw_image, generate_shapes


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "train"
    return generate_shapes(folder, split="train", images=60, size=96, seed=3)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_one_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    generate_shapes(tmp_path / "a", split="train", images=4, size=64, seed=7)
    generate_shapes(tmp_path / "b", split="train", images=4, size=64, seed=7)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert len(a) == 5
    assert a == b


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few = generate_shapes(tmp_path / "few", split="train", images=3, size=64, seed=7)
    many = generate_shapes(tmp_path / "many", split="train", images=6, size=64, seed=7)
    images = {name for name in contents(tmp_path / "few") if name.endswith(".jpg")}
    assert len(images) == 3
    for name in images:
        assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()
    kept = [a for a in json.loads(many.read_text())["annotations"] if a["image_id"] <= 3]
    assert json.loads(few.read_text())["annotations"] == kept


@pytest.mark.parametrize("change", [{"split": "val"}, {"seed": 8}])
def test_splits_and_seeds_differ(tmp_path: Path, change: dict[str, str | int]) -> None:
    plain = {"split": "train", "images": 3, "size": 64, "seed": 7}
    generate_shapes(tmp_path / "a", **plain)
    generate_shapes(tmp_path / "b", **(plain | change))
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert not set(a.values()) & set(b.values())


def test_boxes_and_areas_are_those_of_the_masks(annotations: Path) -> None:
    coco = COCO(str(annotations))
    assert len(coco.anns) > 100
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        rows, columns = np.nonzero(mask)
        x, y, w, h = annotation["bbox"]
        assert (x, y) == (columns.min(), rows.min())
        assert (x + w - 1, y + h - 1) == (columns.max(), rows.max())
        assert annotation["area"] == mask.sum() >= shapes.MIN_VISIBLE_PIXELS


def test_visible_masks_do_not_overlap(annotations: Path) -> None:
    coco = COCO(str(annotations))
    for image_id in coco.imgs:
        found = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        assert sum((coco.annToMask(a) for a in found), np.zeros((96, 96), int)).max() <= 1


def test_the_data_set_passes_the_check(annotations: Path) -> None:
    summary = check_coco(annotations, annotations.parent / "images")
    assert summary.n_images == 60
    assert summary.classes == tuple(SHAPES)
    assert summary.has_masks
    assert summary.dropped == {}
    assert min(summary.boxes_per_class.values()) > 5


def test_sizes_vary_and_some_objects_touch_the_border(annotations: Path) -> None:
    found = json.loads(annotations.read_text())["annotations"]
    longest = [max(a["bbox"][2:]) for a in found]
    assert min(longest) < 20
    assert max(longest) > 40
    touching = [a for a in found if min(a["bbox"][:2]) == 0]
    assert 0.05 < len(touching) / len(found) < 0.5


def test_what_is_hidden_too_much_is_neither_drawn_nor_annotated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Large shapes of the image's own size pile up: only those in front may stay.
    monkeypatch.setattr(shapes, "DIAMETER", (1.4, 1.4))
    monkeypatch.setattr(shapes, "OBJECTS", (30, 30))
    areas = []
    place = shapes._placed

    def placed(*args: object) -> list[np.ndarray]:
        contours = place(*args)
        areas.append(shapes._area(contours))
        return contours

    monkeypatch.setattr(shapes, "_placed", placed)
    _, objects = draw_image(np.random.default_rng(0), 64)
    assert 0 < len(objects) < 30
    assert min(mask.sum() for _, mask in objects) >= 0.25 * min(areas)


@pytest.mark.parametrize("name", SHAPES)
def test_an_outline_encloses_its_area_and_stays_in_the_unit_circle(name: str) -> None:
    rng = np.random.default_rng(1)
    contours = SHAPES[name](rng)
    assert max(np.linalg.norm(points, axis=1).max() for points in contours) < 1.001
    placed = [points * 100 + 128 for points in contours]
    coverage = shapes._coverage(placed, 256)
    assert coverage.sum() == pytest.approx(shapes._area(placed), rel=0.03)


def test_areas_worked_out_by_hand() -> None:
    square = [np.array([[10.0, 10.0], [30.0, 10.0], [30.0, 30.0], [10.0, 30.0]])]
    hole = np.array([[15.0, 15.0], [25.0, 15.0], [25.0, 25.0], [15.0, 25.0]])
    assert shapes._area(square) == 400
    assert shapes._area([*square, hole]) == 300
    # Half outside the image: the area counts it, the coverage does not.
    assert shapes._coverage(square, 20).sum() == pytest.approx(100, rel=0.06)


def test_colour_says_nothing_of_the_class() -> None:
    rng = np.random.default_rng(0)
    means: dict[int, list[np.ndarray]] = {}
    for _ in range(150):
        picture, objects = draw_image(rng, 64)
        for category, mask in objects:
            means.setdefault(category, []).append(picture[mask].mean(axis=0))
    centres = np.array([np.mean(values, axis=0) for values in means.values()])
    assert len(centres) == len(SHAPES)
    assert np.ptp(centres, axis=0).max() < 60


def test_an_object_stands_out_from_what_is_below() -> None:
    rng = np.random.default_rng(0)
    below = np.array([127.0, 127.0, 127.0])
    for _ in range(50):
        colour = shapes._painted(rng, 8, 0.0, below).mean(axis=(1, 2))
        assert np.abs(colour - below).max() >= shapes.COLOUR_DISTANCE - 0.01


def test_pictures_are_not_flat(annotations: Path) -> None:
    for path in sorted((annotations.parent / "images").iterdir()):
        assert cv2.imread(str(path)).std() > 2


def test_the_old_folder_is_replaced(tmp_path: Path) -> None:
    generate_shapes(tmp_path / "a", split="train", images=5, size=64, seed=0)
    path = generate_shapes(tmp_path / "a", split="train", images=2, size=64, seed=0)
    assert path == tmp_path / "a" / "annotations.json"
    assert len(list((tmp_path / "a" / "images").iterdir())) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
