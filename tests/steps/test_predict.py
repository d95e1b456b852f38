"""Finding objects in images and videos: as plain MMDetection does, and written in every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.apis import inference_detector, init_detector
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from saved_models import CLASSES, save_detector, save_images

from mtpd.data.media import VideoFile
from mtpd.detectors.inference import TorchDetector, load_detector, read_image
from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.steps.predict import predict


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return save_detector(tmp_path_factory.mktemp("predict") / "mask", "Mask R-CNN")


@pytest.fixture(scope="module")
def detector(folder: ModelFolder) -> TorchDetector:
    return load_detector(folder.weights, folder.config, "cpu")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return save_images(tmp_path / "images")


def run(detector: TorchDetector, sources: list[Any], out: Path, **options: Any) -> Any:
    settings = {"threshold": 0.45, "batch": 3, "draw": True, **options}
    return predict(detector, [str(source) for source in sources], out, **settings)


def test_the_same_is_found_as_by_mmdetection(
    folder: ModelFolder, detector: TorchDetector, images: list[Path]
) -> None:
    plain = init_detector(str(folder.config), str(folder.weights), device="cpu")
    for path, found in zip(images, detector.predict([read_image(p) for p in images]), strict=True):
        expected = inference_detector(plain, str(path)).pred_instances
        assert len(found) == 100
        np.testing.assert_allclose(found.boxes, expected.bboxes.numpy(), atol=1e-3)
        np.testing.assert_allclose(found.scores, expected.scores.numpy(), atol=1e-5)
        assert np.array_equal(found.labels, expected.labels.numpy())
        assert found.masks is not None
        assert (found.masks != expected.masks.numpy()).mean() < 1e-4
    assert detector.classes == CLASSES


def test_what_is_written_agrees(
    detector: TorchDetector, images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run(detector, [tmp_path / "images"], out)
    expected = [f.above(0.45) for f in detector.predict([read_image(path) for path in images])]
    assert result.images == 4
    assert sum(result.objects.values()) == sum(map(len, expected)) > 10
    truth = COCO(str(out / "images.json"))
    assert [truth.cats[i]["name"] for i in (1, 2, 3)] == list(CLASSES)
    boxes = truth.loadRes(str(out / "bbox.json"))
    masks = read_json(out / "segm.json")
    for number, (path, found) in enumerate(zip(images, expected, strict=True), start=1):
        assert truth.imgs[number]["file_name"] == path.name
        own = boxes.loadAnns(boxes.getAnnIds(imgIds=[number]))
        corners = np.array([a["bbox"] for a in own])
        np.testing.assert_allclose(corners[:, :2], found.boxes[:, :2], atol=1e-4)
        np.testing.assert_allclose(corners[:, 2:] + corners[:, :2], found.boxes[:, 2:], atol=1e-4)
        assert [a["category_id"] - 1 for a in own] == found.labels.tolist()
        codes = [m["segmentation"] for m in masks if m["image_id"] == number]
        assert found.masks is not None
        assert np.array_equal(rle.decode(codes).transpose(2, 0, 1), found.masks)


def test_yolo_text_has_middles_and_sides_as_parts_of_the_image(
    detector: TorchDetector, images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(detector, [images[1]], out)
    [found] = detector.predict([read_image(images[1])])
    found = found.above(0.45)
    rows = np.array([line.split() for line in (out / "labels" / "1.txt").open()], float)
    assert np.array_equal(rows[:, 0], found.labels)
    x, y, w, h = (rows[:, 1:5] * [192, 128, 192, 128]).T
    np.testing.assert_allclose(np.stack([x - w / 2, y - h / 2], 1), found.boxes[:, :2], atol=1e-3)
    np.testing.assert_allclose(np.stack([x + w / 2, y + h / 2], 1), found.boxes[:, 2:], atol=1e-3)
    np.testing.assert_allclose(rows[:, 5], found.scores, atol=1e-4)
    assert (out / "classes.txt").read_text().split() == list(CLASSES)


def test_copies_are_drawn_and_the_images_stay(
    detector: TorchDetector, images: list[Path], tmp_path: Path
) -> None:
    before = images[1].read_bytes()
    run(detector, [images[1]], tmp_path / "out")
    drawn = read_image(tmp_path / "out" / "drawn" / "1.png")
    assert drawn.shape == (384, 576, 3)
    assert not np.array_equal(drawn[::3, ::3], read_image(images[1]))
    assert images[1].read_bytes() == before
    run(detector, [images[1]], tmp_path / "out", draw=False)
    assert not (tmp_path / "out" / "drawn").exists()


def test_a_video_is_frames_and_a_drawn_video(detector: TorchDetector, tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "v.avi", 5.0)
    for level in (40, 120, 200, 90):
        video.add(np.full((64, 96, 3), level, np.uint8))
    video.close()
    counted: list[int] = []
    result = run(
        detector,
        [tmp_path / "v.avi"],
        tmp_path / "out",
        progress=lambda n: lambda: counted.append(n),
    )
    assert result.images == len(counted) == 4
    labels = sorted(p.name for p in (tmp_path / "out" / "labels" / "v.avi").iterdir())
    assert labels == [f"00000{i}.txt" for i in range(1, 5)]
    assert (tmp_path / "out" / "drawn" / "v.mp4").stat().st_size > 1000


def test_what_cannot_be_read_is_left_out_and_named(
    detector: TorchDetector, images: list[Path], tmp_path: Path
) -> None:
    images[0].write_bytes(b"no image")
    (tmp_path / "images" / "notes.txt").write_text("")
    result = run(detector, [tmp_path / "images"], tmp_path / "out")
    assert (result.images, result.others) == (3, 1)
    assert [error.where for error in result.unreadable] == [str(images[0])]
    with pytest.raises(UserError, match="no image can be read"):
        run(detector, [images[0]], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_nothing_of_value_is_overwritten(
    detector: TorchDetector, images: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="which is to be predicted"):
        run(detector, images, tmp_path)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"other files than predictions \(thesis.tex\)"):
        run(detector, images, kept)
    run(detector, images, tmp_path / "out")
    run(detector, images[:1], tmp_path / "out")
    assert len(read_json(tmp_path / "out" / "images.json")["images"]) == 1


def test_a_lower_threshold_than_the_configs_is_heeded(folder: ModelFolder, tmp_path: Path) -> None:
    [path] = save_images(tmp_path, 1)
    config = folder.config.read_text().replace("score_thr=0.05", "score_thr=0.6")
    other = tmp_path / "config.py"
    other.write_text(config)
    image = read_image(path)
    assert config != folder.config.read_text()
    high, low = (
        load_detector(folder.weights, other, "cpu", score_threshold=threshold)
        for threshold in (None, 0.05)
    )
    assert len(low.predict([image])[0]) > len(high.predict([image])[0])


def test_an_image_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (40, 20, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("test_dataloader", "other"), "has no test_dataloader"),
        (("LoadImageFromFile", "LoadImageFromWeb"), "begins with LoadImageFromWeb"),
        (("keep_ratio=", "keep_ration="), "its test pipeline cannot be built"),
        (("model =", "detector ="), "defines no model"),
        (("type='MaskRCNN'", "type='Nothing'"), "makes no detector"),
        (("rpn_head=", "rpn_head=="), "cannot be read"),
    ],
)
def test_a_config_that_is_none_is_refused(
    folder: ModelFolder, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    path = tmp_path / "config.py"
    path.write_text(folder.config.read_text().replace(*change))
    with pytest.raises(UserError, match=words):
        load_detector(folder.weights, path, "cpu")


def test_a_device_that_is_not_there_is_refused(folder: ModelFolder) -> None:
    with pytest.raises(UserError, match="there is no device 'cuda:77' here"):
        load_detector(folder.weights, folder.config, "cuda:77")
