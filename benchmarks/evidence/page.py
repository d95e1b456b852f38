"""``docs/evidence.md`` and its figures, from the rows in ``docs/evidence`` alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.evidence.orders import (
    correlations,
    is_an_order,
    orders_of_length,
    regrets,
    seed_noise,
)
from benchmarks.evidence.rows import BASELINE, FOLDER, STABILITY, costs_file, read_rows
from benchmarks.evidence.statistics import Difference, paired
from mtpd.files import whole_file
from mtpd.reporting.figures import PALETTE, save, style

PAGE = Path("docs/evidence.md")
TEMPLATE = Path(__file__).with_name("page.md")
"""The page's words. Where it says ``{{arms NAME}}``, ``{{differences NAME}}``, ``{{orders NAME}}``,
``{{predictors NAME}}`` or ``{{figure NAME}}``, a table or figure of the experiment NAME is put in;
for ``{{stability}}`` the table of how stable costs are."""

MAX_TEACHERS = 3
"""Of the orders that are compared."""

ARMS = {
    "no-teacher": "no teacher",
    "direct": "direct from the strongest",
    "direct-twice": "direct, in two stages",
    "intermediate": "the chain's first teacher alone",
    "progressive": "progressive, in the order of BGS",
    "reversed": "the same teachers reversed",
    "random": "teachers drawn at random",
}
"""Names of arms as the experiments give them, and in words."""

COMPARED = [
    ("progressive", "no-teacher"),
    ("progressive", "direct"),
    ("progressive", "direct-twice"),
    ("progressive", "intermediate"),
    ("progressive", "reversed"),
    ("progressive", "random"),
    ("direct", "no-teacher"),
    ("direct-twice", "no-teacher"),
    ("direct-twice", "direct"),
    ("intermediate", "direct"),
    ("bgs", "direct"),
    ("bgs", "ascending"),
    ("bgs", "bgs-between"),
    ("bgs", "reversed"),
    ("bgs", "random"),
]


def write_page() -> None:
    """Write the page and the figures that it shows."""
    text = page()
    with whole_file(PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    for name in experiments():
        if f"(evidence/{name}.png)" in text:
            draw(name, [FOLDER / f"{name}.png"])


def page() -> str:
    """The page's text."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for name in experiments():
        rows = read_rows(name)
        text = text.replace(f"{{{{arms {name}}}}}", arms_table(rows))
        text = text.replace(f"{{{{differences {name}}}}}", differences_table(rows))
        text = text.replace(f"{{{{orders {name}}}}}", orders_table(rows))
        text = text.replace(f"{{{{predictors {name}}}}}", predictors_table(name, rows))
        text = text.replace(f"{{{{figure {name}}}}}", f"![{name}](evidence/{name}.png)")
    if STABILITY.exists():
        text = text.replace("{{stability}}", stability_table(pd.read_csv(STABILITY, dtype=str)))
    return re.sub(r"\{\{.*?\}\}", "*Nothing of it has run yet.*", text)


def experiments() -> list[str]:
    """Experiments with rows, by name."""
    return sorted(path.stem for path in FOLDER.glob("evidence_*.csv"))


def arms_table(rows: pd.DataFrame) -> str:
    """Means over the runs of every arm, in Markdown."""
    lines = [
        "| method | arm | runs | steps | AP | AP50 | val AP | training loss |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    shown = rows[~is_an_order(rows)]
    for (method, arm), group in shown.groupby(["method", "arm"], sort=False):
        steps = sorted(set(group["steps"]))
        cells = [
            method,
            _words(str(arm)),
            str(len(group)),
            " or ".join(map(str, steps)),
            *(_mean(group[metric], 2) for metric in ("AP", "AP50", "val_AP")),
            _mean(group["train_loss"], 3),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def differences_table(rows: pd.DataFrame) -> str:
    """Paired differences of AP between the arms that are compared, in Markdown."""
    lines = [
        "| method | difference | AP | by t | by bootstrap | runs in favour | clear of zero |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for method in [m for m in dict.fromkeys(rows["method"]) if m]:
        of_method = rows[rows["method"] == method]
        for one, other in COMPARED:
            found = paired(of_method, one, other, "AP")
            if found is not None:
                lines.append(_difference_row(method, f"{_words(one)} − {_words(other)}", found))
    return "\n".join(lines) if len(lines) > 2 else "*No two arms have two starts in common yet.*"


def orders_table(rows: pd.DataFrame) -> str:
    """Rank and regret of what each strategy chose, in Markdown."""
    titles = (
        "strategy", "chose, over the seeds", "seeds", "AP", "rank", "regret", "regret at random",
        "seed noise",
    )  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for number in range(1, MAX_TEACHERS + 1):
        if len(orders_of_length(rows, number)) < 2:
            continue
        noise = seed_noise(rows, number)
        for found in regrets(rows, number).itertuples():
            chosen = found.orders[0] if len(found.orders) == 1 else f"{len(found.orders)} orders"
            cells = [
                found.strategy,
                chosen.replace(" > ", " → "),
                str(found.seeds),
                f"{found.AP:.2f}",
                f"{found.rank} of {found.of}",
                *(f"{value:.2f}" for value in (found.regret, found.draws)),
                "–" if noise is None else f"{noise:.2f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def predictors_table(name: str, rows: pd.DataFrame) -> str:
    """How well costs and scores predict the AP of the longest orders, in Markdown."""
    if not costs_file(name).exists() or len(orders_of_length(rows, MAX_TEACHERS)) < 2:
        return ""
    costs = pd.read_csv(costs_file(name))
    found = correlations(rows, costs, MAX_TEACHERS)
    lines = ["| predictor | Spearman's ρ | Kendall's τ |", "| --- | --- | --- |"]
    lines += [
        f"| {row.predictor} | {row.spearman:+.2f} | {row.kendall:+.2f} |"
        for row in found.itertuples()
    ]
    return "\n".join(lines)


def stability_table(rows: pd.DataFrame) -> str:
    """The rows of :mod:`benchmarks.evidence.stability`, in Markdown."""
    titles = (
        "what", "value", "draws", "mean error", "largest error", "Kendall's τ", "interval holds",
        "same order, bgs", "same order, bgs-between",
    )  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    shares = ["interval_holds", "same_bgs", "same_bgs_between"]
    percent = rows[shares].astype(float).map(lambda share: f"{share:.0%}", na_action="ignore")
    shown = rows.assign(**percent).fillna("")
    lines += [f"| {' | '.join(row)} |" for row in shown.itertuples(index=False)]
    return "\n".join(lines)


def draw(name: str, paths: list[Path]) -> None:
    """Draw the AP of every start by arm, paired by lines, and the means."""
    rows = read_rows(name)
    methods = [method for method in dict.fromkeys(rows["method"]) if method]
    with style():
        figure = Figure(figsize=(3.4 * max(1, len(methods)), 2.8), layout="constrained")
        for axes, method in zip(
            figure.subplots(1, max(1, len(methods)), squeeze=False)[0], methods, strict=False
        ):
            table = rows[rows["method"] == method].pivot_table("AP", "start", "arm")
            arms = [arm for arm in ARMS if arm in table.columns]
            for _, start in table[arms].iterrows():
                axes.plot(arms, start, color="0.75", linewidth=0.6, zorder=1)
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
    count = f"{found.better} of {found.starts}"
    cells = [method, title, f"{found.mean:+.2f}", *intervals, count]
    return f"| {' | '.join([*cells, 'yes' if found.is_clear else 'no'])} |"


def _mean(values: pd.Series, digits: int) -> str:
    mean, spread = values.mean(), values.std(ddof=1)
    if np.isnan(mean):
        return ""
    return f"{mean:.{digits}f}" if np.isnan(spread) else f"{mean:.{digits}f} ± {spread:.{digits}f}"


def _words(arm: str) -> str:
    return "student without teacher, its start" if arm == BASELINE else ARMS.get(arm, arm)
