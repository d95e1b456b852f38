"""Pictures of a report for the documentation: its first screen in light and in dark, and images.

    python -m benchmarks.screenshots results/demo/report.html

It needs what the tests of the report need: Debian's chromium and chromium-driver, and selenium.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from browser import Page, browser

IMAGES = Path(__file__).parent.parent / "docs" / "images"
WIDTH, HEIGHT = 1120, 1180
COLOURS = 256
MOST_BYTES = 150_000


def main(report: Path) -> None:
    """Write the pictures of ``report``."""
    IMAGES.mkdir(exist_ok=True)
    with browser() as page:
        for scheme in ("light", "dark"):
            page.look(WIDTH, scheme)
            page.open(report)
            _save(page, f"report-{scheme}", (0, 0, WIDTH, HEIGHT))
        page.look(WIDTH, "light")
        page.open(report)
        place = page.run(
            "const section = document.querySelector('#pictures').getBoundingClientRect();"
            "const last = document.querySelectorAll('.picture')[1].getBoundingClientRect();"
            "return [section.top, last.bottom];"
        )
        _save(page, "report-pictures", (0, place[0], WIDTH, place[1] - place[0] + 24))


def _save(page: Page, name: str, place: tuple[float, float, float, float]) -> None:
    """A part of the page as a PNG of few colours."""
    picture = Image.open(io.BytesIO(page.picture(*place))).convert("RGB")
    path = IMAGES / f"{name}.png"
    for colours in (COLOURS, COLOURS // 2, COLOURS // 4, COLOURS // 8):
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path}: {path.stat().st_size // 1000} kB")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
