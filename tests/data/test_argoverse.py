"""Argoverse-HD's annotations: what becomes of them, and every refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpd.data.argoverse import convert_argoverse
from mtpd.errors import UserError


@pytest.fixture
def raw() -> dict[str, Any]:
    """Two sequences of two frames and of one, with the ids from 0 of the published files."""
    size = {"width": 1920, "height": 1200}
    return {
        "sequences": ["aa", "bb"],
        "seq_dirs": ["val/aa/ring_front_center", "val/bb/ring_front_center"],
        "images": [
            {"id": 0, "sid": 0, "fid": 0, "name": "a_1.jpg", **size},
            {"id": 1, "sid": 0, "fid": 1, "name": "a_2.jpg", **size},
            {"id": 2, "sid": 1, "fid": 0, "name": "b_1.jpg", **size},
        ],
        "annotations": [
            {
                "id": 0,
                "image_id": 2,
                "category_id": 2,
                "bbox": [1, 2, 30, 40],
                "area": 1200,
                "iscrowd": 0,
                "track": 5,
            }
        ],
        "categories": [{"id": 2, "name": "car"}],
    }


def converted(folder: Path, raw: object, whole_sequences: bool = True) -> dict[str, Any]:
    (folder / "val.json").write_text(json.dumps(raw))
    convert_argoverse(folder / "val.json", folder / "out.json", whole_sequences=whole_sequences)
    return json.loads((folder / "out.json").read_text())


def test_images_get_the_file_of_their_sequence(tmp_path: Path, raw: dict[str, Any]) -> None:
    coco = converted(tmp_path, raw)
    assert coco["images"][2] == {
        "id": 2,
        "sid": 1,
        "fid": 0,
        "width": 1920,
        "height": 1200,
        "file_name": "val/bb/ring_front_center/b_1.jpg",
    }
    assert coco["annotations"] == raw["annotations"]
    assert coco["categories"] == raw["categories"]


def test_a_gap_counts_only_where_sequences_are_whole(tmp_path: Path, raw: dict[str, Any]) -> None:
    raw["images"][1]["fid"] = 2
    assert len(converted(tmp_path, raw, whole_sequences=False)["images"]) == 3
    with pytest.raises(UserError, match="sequence aa: has no frame between 0 and 2"):
        converted(tmp_path, raw)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.pop("sequences"), "sequences: is missing"),
        (lambda r: r.update(seq_dirs=[1, 2]), "seq_dirs: is missing or not a list of texts"),
        (lambda r: r["seq_dirs"].pop(), "seq_dirs: has 1 entries, 'sequences' has 2"),
        (lambda r: r.pop("images"), "images: is missing"),
        (lambda r: r["images"].append(3), r"images\[3\]: is not an object"),
        (lambda r: r["images"][1].pop("name"), r"images\[1\]: 'name' is missing"),
        (lambda r: r["images"][1].update(fid="1"), r"images\[1\]: 'fid' is '1'"),
        (lambda r: r["images"][1].update(sid=2), r"'sid' is 2, but there are 2 sequences"),
        (lambda r: r["images"][1].update(fid=0), "sequence aa: has frame 0 twice"),
    ],
)
def test_what_is_not_in_the_format(
    tmp_path: Path, raw: dict[str, Any], change: Callable[[Any], object], words: str
) -> None:
    change(raw)
    with pytest.raises(UserError, match=words) as caught:
        converted(tmp_path, raw)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.json").exists()


def test_a_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a JSON object"):
        converted(tmp_path, [])
