"""A config beside results can be moved with them, and read by MMEngine there."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from mtpd.detectors.written_config import write_config


def test_a_written_config_moves_with_the_folder_around_it(tmp_path: Path) -> None:
    root = tmp_path / "exp"
    path = root / "detectors" / "x" / "config.py"
    config = Config(
        {
            "own": {"ann_file": str(root / "data" / "train.json")},
            "several": [str(root / "data" / "images")],
            "others": "/elsewhere/train.json",
            "like": f"{root}2/train.json",
        }
    )
    write_config(config, path, moving=root)
    assert f"{root}/" not in path.read_text()
    moved = root.rename(tmp_path / "moved")
    found = Config.fromfile(moved / "detectors" / "x" / "config.py")
    assert Path(found.own.ann_file).resolve() == moved / "data" / "train.json"
    assert Path(found.several[0]).resolve() == moved / "data" / "images"
    assert (found.others, found.like) == (config.others, config.like)


def test_a_config_is_written_as_it_is_where_nothing_moves(tmp_path: Path) -> None:
    path = tmp_path / "training.py"
    write_config(Config({"ann_file": str(tmp_path / "train.json")}), path)
    assert Config.fromfile(path).ann_file == str(tmp_path / "train.json")
