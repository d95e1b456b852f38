"""Picture of the display for docs/status.md, from what a run has written so far.

    python -m benchmarks.display_image EXPERIMENT [--results FOLDER] [--out docs/images/display.svg]

Call it while the experiment runs: it shows the files of that moment, and nothing else.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mtpd.display.pane import bar, pane
from mtpd.experiment.load import open_experiment
from mtpd.overview.status import ExperimentStatus, collect_status

WIDTH, HEIGHT = 104, 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images/display.svg"))
    given = parser.parse_args(arguments)
    draw(collect_status(*open_experiment(given.experiment, given.results)), given.out)


def draw(status: ExperimentStatus, path: Path) -> None:
    """Write the picture of ``status`` as SVG."""
    models = status.models()
    done = sum(model.state == "done" for model in models)
    console = Console(
        record=True, file=io.StringIO(), force_terminal=True, width=WIDTH, height=HEIGHT
    )
    foot = bar(done, len(models), f"{done} of {len(models)} trained")
    console.print(pane([status], [foot], WIDTH, HEIGHT))
    path.parent.mkdir(parents=True, exist_ok=True)
    svg = console.export_svg(title="snakemake --cores 2")
    # A page that is read must fetch nothing: the reader's own font will do.
    path.write_text(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
