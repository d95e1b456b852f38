"""Generated images, laid out as Argoverse-HD is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtpd.data.shapes import generate_shapes


def write_argoverse_hd(root: Path) -> dict[str, Any]:
    """Write two sequences of four frames for each split; returns the settings that name them."""
    for split in ("train", "val"):
        generated = generate_shapes(root / "shapes" / split, split=split, images=8, size=64, seed=0)
        raw = json.loads(generated.read_text())
        raw["sequences"] = ["aa", "bb"]
        raw["seq_dirs"] = [f"{split}/{name}/ring_front_center" for name in raw["sequences"]]
        for number, image in enumerate(raw["images"]):
            image |= {"sid": number // 4, "fid": number % 4, "name": image["file_name"]}
            folder = root / "Argoverse-1.1/tracking" / raw["seq_dirs"][image["sid"]]
            folder.mkdir(parents=True, exist_ok=True)
            (generated.parent / "images" / image.pop("file_name")).rename(folder / image["name"])
        for annotation in raw["annotations"]:
            del annotation["segmentation"]
        path = root / f"Argoverse-HD/annotations/{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(raw))
    return {"source": "argoverse_hd", "root": str(root)}
