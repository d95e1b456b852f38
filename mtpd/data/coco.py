"""COCO instances files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtpd.files import whole_file


def write_coco(path: Path, coco: dict[str, Any]) -> None:
    """Write an instances file whole, without spaces: COCO's own has half a gigabyte."""
    with whole_file(path) as temporary:
        text = json.dumps(coco, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        temporary.write_text(text, encoding="utf-8")
