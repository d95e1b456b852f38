"""A small YOLO folder, for several tests."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 40, 20
BOX = "0 0.5 0.5 0.5 0.5\n"
"""x 10, y 5, 20 wide and 10 high."""
DATA = "train: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n"


def write_yolo(root: Path, data: str = DATA) -> Path:
    """Two images in train, one in val, each with a box; gives the root."""
    for name in ("train/a", "train/b", "val/c"):
        add_image(root / f"images/{name}.png")
        label = root / f"labels/{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(BOX)
    (root / "data.yaml").write_text(data)
    return root


def add_image(path: Path, shade: int = 0) -> None:
    """An image of WIDTH by HEIGHT pixels, like no other of another name and shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (sum(path.stem.encode()) % 256, len(path.stem), shade)
    Image.new("RGB", (WIDTH, HEIGHT), colour).save(path)
