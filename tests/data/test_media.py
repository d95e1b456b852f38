"""Which images and videos a person means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtpd.data.media import VideoFile, find_media, frames, frames_of
from mtpd.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.JPG", "a.png", "sub/a.jpeg", "sub/c.mp4", "notes.txt", "c.v2.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(*sources: str) -> list[str]:
    return [medium.name for medium in find_media(sources)[0]]


def test_a_folder_is_all_that_it_holds_in_order(folder: Path) -> None:
    media, others = find_media([str(folder)])
    assert [m.name for m in media] == ["a.png", "b.JPG", "c.v2.png", "sub/a.jpeg", "sub/c.mp4"]
    assert [m.is_video for m in media] == [False, False, False, False, True]
    assert others == 1


def test_files_patterns_and_folders_may_be_mixed_and_count_once(folder: Path) -> None:
    assert names(f"{folder}/b.JPG") == ["b.JPG"]
    assert names(f"{folder}/**/a.*") == ["a.png", "sub/a.jpeg"]
    assert names(f"{folder}/sub/*.jpeg", str(folder / "sub")) == ["a.jpeg", "c.mp4"]


def test_names_are_made_different(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(b"x")
    sources = [str(folder / name) for name in ("a.png", "a.jpg", "sub/a.jpeg")]
    assert names(*sources) == ["a.png", "a-2.jpg", "a-3.jpeg"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.jpg", "there is no such image"),
        ("*.jpg", "there is no such image"),
        ("notes.txt", "neither an image nor a video"),
        ("empty", "holds no image or video"),
    ],
)
def test_what_means_nothing_is_refused(folder: Path, source: str, words: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=words):
        find_media([str(folder / source)])


def test_a_video_comes_back_frame_by_frame(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "v.mp4"
    video = VideoFile(path, 5.0)
    for level in (40, 120, 200):
        video.add(np.full((64, 96, 3), (level, 0, 0), np.uint8))
    video.close()
    assert frames_of(path) == (3, 5.0)
    seen = list(frames(path))
    assert [frame.shape for frame in seen] == [(64, 96, 3)] * 3
    reds = [float(frame[..., 0].mean()) for frame in seen]
    assert reds == pytest.approx([40, 120, 200], abs=12)
    assert float(seen[2][..., 2].mean()) < 40


def test_what_is_no_video_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="no video that OpenCV can read"):
        frames_of(folder / "sub" / "c.mp4")
