"""Kinds of images: what loads otherwise than it is stored is named, what does not load is refused.

What OpenCV makes of each is tried: the check must agree with it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mtpd.data import images as module
from mtpd.data.images import Expected, check_images, image_sizes

SIZE = (40, 20)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (20, 40, 3), dtype=np.uint8)


def write_turned(path: Path, turn: int, size: tuple[int, int] = SIZE) -> None:
    picture = Image.effect_noise(size, 60).convert("RGB")
    if path.suffix == ".tif":
        picture.save(path, tiffinfo={module.ORIENTATION: turn})
        return
    exif = Image.Exif()
    exif[module.ORIENTATION] = turn
    picture.save(path, exif=exif)


def loaded(path: Path) -> tuple[int, int]:
    """Width and height as MMDetection has them: it decodes the bytes by OpenCV."""
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    return image.shape[1], image.shape[0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("turn", [1, 3, 6])
def test_sizes_are_those_that_are_loaded(tmp_path: Path, suffix: str, turn: int) -> None:
    path = tmp_path / f"a.{suffix}"
    write_turned(path, turn)
    assert image_sizes([path]) == [loaded(path)]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_quarter_turn_names_both_remedies(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write_turned(path, 6)
    problem, remedy = check_images([Expected(path, *SIZE)]).problems[0]
    assert "is 20x40 when loaded, turned as its EXIF orientation 6 says" in problem
    assert "take the orientation out of the file" in remedy
    assert "or give boxes and size of the turned picture" in remedy
    # The annotations know the turned size, so they were made of the turned picture.
    found = check_images([Expected(path, 20, 40)])
    assert (found.problems, found.notes) == ({}, {})
    assert check_images([Expected(path, 20, 40, measured=True)]).notes == {"turned": [0]}


@pytest.mark.parametrize(("turn", "size"), [(3, SIZE), (2, SIZE), (6, (20, 20)), (5, (20, 20))])
def test_a_turn_that_keeps_the_size_is_named(
    tmp_path: Path, turn: int, size: tuple[int, int]
) -> None:
    for name, of in (("a", 1), ("b", turn), ("c", turn)):
        write_turned(tmp_path / f"{name}.jpg", of, size)
    files = [tmp_path / f"{name}.jpg" for name in "abc"]
    found = check_images([Expected(file, *size) for file in files])
    assert found.notes == {"turned": [1, 2]}
    line = str(found.remarks("train.json", files)[0])
    assert "2 of 3 images have an EXIF orientation, and are turned by it when loaded" in line
    assert f"(first {files[1]})" in line
    assert "if on the turned picture, they are right" in line


MODES = {
    "deep": ["grey16.png", "grey16.tif", "colour16.png", "colour16.tif"],
    "clear": ["rgba.png", "rgba.tif", "la.png"],
    "cmyk": ["cmyk.jpg", "cmyk.tif"],
    "": ["grey.png", "palette.png", "bits.png", "grey.jpg"],
}


def write_kind(path: Path) -> None:
    kind = path.stem
    if kind == "grey16":
        Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256).save(path)
    elif kind == "colour16":
        cv2.imwrite(str(path), PIXELS.astype(np.uint16) * 256)
    else:
        modes = {"grey": "L", "palette": "P", "bits": "1"}
        Image.fromarray(PIXELS).convert(modes.get(kind, kind.upper())).save(path)


@pytest.mark.parametrize(("note", "name"), [(n, name) for n in MODES for name in MODES[n]])
def test_kinds_that_are_loaded_otherwise_are_named(tmp_path: Path, note: str, name: str) -> None:
    path = tmp_path / name
    write_kind(path)
    assert loaded(path) == SIZE
    found = check_images([Expected(path, *SIZE)], decode=True)
    assert found.problems == {}
    assert found.notes == ({note: [0]} if note else {})


def test_an_image_that_opencv_does_not_decode(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(PIXELS[..., 0].astype(np.float32)).save(path)
    assert cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) is None
    problem, remedy = check_images([Expected(path, *SIZE)]).problems[0]
    assert "cannot be decoded by OpenCV (TIFF, pixels of kind F)" in problem
    assert remedy == "convert it to a JPEG or PNG of 8 bits"


def test_large_images_are_read_and_named(tmp_path: Path) -> None:
    """Pillow refuses one of so many pixels unless told otherwise; its header is read at once."""
    path = tmp_path / "scan.png"
    Image.new("1", (18_000, 10_000)).save(path, compress_level=1)
    found = check_images([Expected(path, 18_000, 10_000)])
    assert (found.problems, found.notes) == ({}, {"large": [0]})


def test_more_pixels_than_opencv_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PIXELS", 799)
    path = tmp_path / "a.png"
    Image.new("L", SIZE).save(path)
    problem, remedy = check_images([Expected(path, *SIZE)]).problems[0]
    assert "has 40x20 pixels, and OpenCV takes 799" in problem
    assert remedy == "cut it into tiles"


NAMES = [
    ("a b.png", "a\u202fb.png", "has U+202F (NARROW NO-BREAK SPACE) as character 2, where U+0020"),
    ("a\u202fb.png", "a b.png", "has U+0020 (SPACE) as character 2, where U+202F (NARROW"),
    ("a  b.png", "a b.png", "U+0062 (LATIN SMALL LETTER B) as character 3, where U+0020 (SPACE)"),
    ("caf\u00e9.png", "cafe\u0301.png", "where U+00E9 (LATIN SMALL LETTER E WITH ACUTE)"),
    ("a.png", "A.PNG", "U+0041 (LATIN CAPITAL LETTER A) as character 1"),
    ("a.png ", "a.png", "has nothing as character 6, where U+0020 (SPACE) is written"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "there", "said"), NAMES)
def test_names_that_look_alike(tmp_path: Path, written: str, there: str, said: str) -> None:
    Image.new("L", SIZE).save(tmp_path / there, format="PNG")
    problem, _ = check_images([Expected(tmp_path / written, *SIZE)]).problems[0]
    assert f"{written} does not exist; there is '{there}', which has " in problem
    assert said in problem
