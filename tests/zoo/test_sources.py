"""What an experiment's weights stand for, and how they are called in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtpd.detectors.sources import may_be_pretrained
from mtpd.errors import UserError
from mtpd.settings.experiment import Detector
from mtpd.settings.runtime import Zoo
from mtpd.zoo.sources import Remote, given_weights, remote_weights, zoo_weights

RETINANET = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
WEIGHTS = (
    "https://download.openmmlab.com/mmdetection/v2.0/retinanet/retinanet_r50_fpn_1x_coco/"
    "retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth"
)


def detector(**settings: Any) -> Detector:
    return Detector(**{"config": RETINANET, **settings})


@pytest.mark.parametrize("key", ["weights", "start_from"])
def test_what_the_zoo_lists_is_vouched_for_by_its_hash(key: str) -> None:
    expected = Remote(WEIGHTS, "c2398f9e", listed=True)
    assert remote_weights(detector(**{key: "zoo"})) == expected
    assert remote_weights(detector(**{key: WEIGHTS})) == expected


def test_an_address_of_anybody_is_not() -> None:
    remote = remote_weights(detector(weights="https://weights.example/a-0123abcd.pth"))
    assert remote == Remote("https://weights.example/a-0123abcd.pth", "0123abcd", listed=False)


def test_an_address_that_names_a_whole_hash_vouches_for_nothing(tmp_path: Path) -> None:
    given = detector(weights=f"https://weights.example/a-{'0' * 64}.pth")
    remote = remote_weights(given)
    assert remote is not None
    remote.path(Zoo(cache=tmp_path)).touch()
    found = given_weights(given, Zoo(cache=tmp_path))
    assert found is not None
    assert not found.trusted
    assert len(str(found.sha256)) < 64


def test_another_address_does_not_take_a_listed_file_s_place() -> None:
    listed = Remote(WEIGHTS, "c2398f9e", listed=True)
    other = Remote(f"https://weights.example/{listed.file}", "c2398f9e")
    assert WEIGHTS.endswith(f"/{listed.file}")
    assert other.file != listed.file
    assert other.file.endswith(listed.file)


def test_what_a_mirror_gives_may_be_no_full_pickle(tmp_path: Path) -> None:
    mirrored = Zoo(cache=tmp_path, mirrors={"https://download.openmmlab.com/": "http://mirror/"})
    Remote(WEIGHTS, listed=True).path(mirrored).touch()
    for zoo, trusted in ((Zoo(cache=tmp_path), True), (mirrored, False)):
        found = given_weights(detector(weights="zoo"), zoo)
        assert found is not None
        assert found.trusted == trusted


def test_a_date_is_no_hash() -> None:
    remote = remote_weights(detector(weights="https://weights.example/a-20240131.pth"))
    assert remote == Remote("https://weights.example/a-20240131.pth")


@pytest.mark.parametrize(("sha256", "listed"), [("c2398f9e00", True), ("0123abcd", False)])
def test_the_experiment_s_hash_comes_first(sha256: str, listed: bool) -> None:
    remote = remote_weights(detector(weights="zoo", sha256=sha256))
    assert remote == Remote(WEIGHTS, sha256, listed)


def test_a_file_is_not_fetched(tmp_path: Path) -> None:
    given = detector(weights=str(tmp_path / "a.pth"), sha256="0123abcd", trusted=True)
    assert remote_weights(given) is None
    found = given_weights(given, Zoo())
    assert found is not None
    assert (found.path, found.sha256, found.trusted) == (tmp_path / "a.pth", "0123abcd", True)
    assert given_weights(detector(), Zoo()) is None


def test_what_is_not_in_the_cache_says_how_to_get_it(tmp_path: Path) -> None:
    zoo = Zoo(cache=tmp_path)
    with pytest.raises(UserError, match=f"mtpd zoo fetch {WEIGHTS}"):
        given_weights(detector(weights="zoo"), zoo)
    path = tmp_path / "retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth"
    path.touch()
    found = given_weights(detector(weights="zoo"), zoo)
    assert found is not None
    assert (found.path, found.sha256, found.trusted) == (path, "c2398f9e", True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("own.py", "is not in MMDetection's metafiles"),
        ("mmdet::dino/dino-4scale_r50_8xb2-24e_coco.py", "has no weights in"),
    ],
)
def test_a_config_without_weights(config: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        zoo_weights(config)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("https://a.example/b/c%2Bd-0123abcd.pth?download=1", "c+d-0123abcd.pth"),
        ("https://a.example/x/..%2Fup-0123abcd.pth", "up-0123abcd.pth"),
        ("https://a.example/b/odd%20na:me-0123abcd.pth", "odd_na_me-0123abcd.pth"),
    ],
)
def test_names_in_the_cache(url: str, file: str) -> None:
    assert Remote(url).file == file


def test_names_without_hash_are_told_apart_by_their_address() -> None:
    urls = [f"https://{host}.example/model.pth" for host in ("a", "b")]
    first, second = (Remote(url).file for url in urls)
    assert first != second
    assert first.endswith("_model.pth")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = dict(init_cfg=dict(checkpoint='torchvision://resnet50'))", True),
        ("model = dict(pretrained='open-mmlab://detectron/resnet50_caffe')", True),
        ("model = dict(type='X')  # 'https://example.com'", False),
        ("data = 's3://openmmlab/'", False),
        ("_base_ = ['base.py']", True),
        ("with read_base():\n    from .base import *", True),
        ("model = (", True),
    ],
)
def test_configs_that_may_start_from_published_weights(
    tmp_path: Path, text: str, expected: bool
) -> None:
    (tmp_path / "base.py").write_text("pretrained = 'https://a.example/b.pth'")
    config = tmp_path / "config.py"
    config.write_text(text)
    assert may_be_pretrained(str(config)) == expected


def test_configs_of_mmdetection_may() -> None:
    assert may_be_pretrained(RETINANET)
