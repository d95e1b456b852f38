"""``docs/evidence.md`` and its figures, from the rows in ``docs/evidence`` alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.evidence.rows import BASELINE, FOLDER, read_rows
from benchmarks.evidence.statistics import Difference, paired
from mtpd.files import whole_file
from mtpd.reporting.figures import PALETTE, save, style

PAGE = Path("docs/evidence.md")
TEMPLATE = Path(__file__).with_name("page.md")
"""The page's words. Where it says ``{{arms NAME}}``, ``{{differences NAME}}`` or
``{{figure NAME}}``, a table or figure of the experiment NAME is put in."""

PROGRESSIVE = "progressive"
ARMS = {
    "no-teacher": "no teacher",
    "direct": "direct from the strongest",
    "direct-twice": "direct, in two stages",
    "progressive": "progressive, in the order of BGS",
    "reversed": "the same teachers reversed",
    "random": "two teachers drawn at random",
}
"""Names of arms as the experiments give them, and in words."""

COMPARED = [
    ("progressive", "no-teacher"),
    ("progressive", "direct"),
    ("progressive", "direct-twice"),
    ("progressive", "reversed"),
    ("progressive", "random"),
    ("direct", "no-teacher"),
    ("direct-twice", "no-teacher"),
    ("direct-twice", "direct"),
]


def write_page() -> None:
    """Write the page, and a figure for every experiment with arms to compare."""
    with whole_file(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
    for name in experiments():
        if set(ARMS) & set(read_rows(name)["arm"]):
            draw(name, [FOLDER / f"{name}.png"])


def page() -> str:
    """The page's text."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for name in experiments():
        rows = read_rows(name)
        text = text.replace(f"{{{{arms {name}}}}}", arms_table(rows))
        text = text.replace(f"{{{{differences {name}}}}}", differences_table(rows))
        text = text.replace(f"{{{{figure {name}}}}}", f"![{name}](evidence/{name}.png)")
    return re.sub(r"\{\{.*?\}\}", "*Nothing of it has run yet.*", text)


def experiments() -> list[str]:
    """Experiments with rows, by name."""
    return sorted(path.stem for path in FOLDER.glob("evidence_*.csv"))


def arms_table(rows: pd.DataFrame) -> str:
    """Means over seeds of every arm, in Markdown."""
    lines = [
        "| method | arm | seeds | steps | AP | AP50 | val AP | training loss |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (method, arm), group in rows.groupby(["method", "arm"], sort=False):
        steps = sorted(set(group["steps"]))
        cells = [
            method,
            _words(str(arm)),
            str(group["seed"].nunique()),
            " or ".join(map(str, steps)),
            *(_mean(group[metric], 2) for metric in ("AP", "AP50", "val_AP")),
            _mean(group["train_loss"], 3),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def differences_table(rows: pd.DataFrame) -> str:
    """Paired differences of AP between the arms that are compared, in Markdown."""
    lines = [
        "| method | difference | AP | by t | by bootstrap | seeds in favour | clear of zero |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for method in [m for m in dict.fromkeys(rows["method"]) if m]:
        of_method = rows[rows["method"] == method]
        for one, other in COMPARED:
            found = paired(of_method, one, other, "AP")
            if found is not None:
                lines.append(_difference_row(method, f"{_words(one)} − {_words(other)}", found))
    return "\n".join(lines)


def draw(name: str, paths: list[Path]) -> None:
    """Draw every seed's AP by arm, paired by lines, and the means."""
    rows = read_rows(name)
    methods = [method for method in dict.fromkeys(rows["method"]) if method]
    with style():
        figure = Figure(figsize=(3.4 * max(1, len(methods)), 2.8), layout="constrained")
        for axes, method in zip(
            figure.subplots(1, max(1, len(methods)), squeeze=False)[0], methods, strict=False
        ):
            table = rows[rows["method"] == method].pivot_table("AP", "seed", "arm")
            arms = [arm for arm in ARMS if arm in table.columns]
            for _, seed in table[arms].iterrows():
                axes.plot(arms, seed, color="0.75", linewidth=0.6, zorder=1)
            for place, arm in enumerate(arms):
                values = table[arm].dropna()
                axes.scatter(np.full(len(values), place), values, s=6, color=PALETTE[1], zorder=2)
                axes.plot(place, values.mean(), "_", color="black", markersize=14, zorder=3)
            axes.set_xticks(range(len(arms)), arms, rotation=30, ha="right")
            axes.set_title(method)
            axes.set_ylabel("test AP")
        save(figure, paths)


def _difference_row(method: str, title: str, found: Difference) -> str:
    intervals = [f"{low:+.2f} to {high:+.2f}" for low, high in (found.by_t, found.by_bootstrap)]
    count = f"{found.better} of {found.seeds}"
    cells = [method, title, f"{found.mean:+.2f}", *intervals, count]
    return f"| {' | '.join([*cells, 'yes' if found.is_clear else 'no'])} |"


def _mean(values: pd.Series, digits: int) -> str:
    mean, spread = values.mean(), values.std(ddof=1)
    if np.isnan(mean):
        return ""
    return f"{mean:.{digits}f}" if np.isnan(spread) else f"{mean:.{digits}f} ± {spread:.{digits}f}"


def _words(arm: str) -> str:
    return "student without teacher, its start" if arm == BASELINE else ARMS.get(arm, arm)
