"""The results table as CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mtpd.files import whole_file

PERCENT = ["AP", "AP50", "AP75", "mask AP", "sAP", "crowd AP", "MR", "JI", "val AP"]
DEVIATION = " standard deviation"
"""Behind a column's name: the sample standard deviation over seeds."""


def with_means(table: pd.DataFrame, members: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """``table`` with one more row for every run that was trained from several seeds.

    Args:
        table: One row for each chain, named in the column ``run``.
        members: Run → its chains.

    Returns:
        The new rows stand last. They have the means of what is given in percent, with the sample
        standard deviations in columns of their own, and of the other columns what all seeds share.
    """
    rows = []
    for name, chains in members.items():
        if len(chains) < 2:
            continue
        own = table[table["run"].isin(chains)]
        row = {column: own[column].iloc[0] for column in own if len(own[column].unique()) == 1}
        for column in own.columns.intersection(PERCENT):
            values = own[column].astype(float)
            row |= {column: values.mean(), f"{column}{DEVIATION}": values.std()}
        rows.append({**row, "run": f"{name} (n = {len(own)})"})
    return pd.concat([table, pd.DataFrame(rows)], ignore_index=True) if rows else table


def write_table(table: pd.DataFrame, csv: Path, markdown: Path, latex: Path) -> None:
    """Write ``table`` three times; AP in percent with one decimal, missing cells as a dash."""
    shown = in_percent(table)
    with whole_file(csv) as temporary:
        table.to_csv(temporary, index=False)
    with whole_file(markdown) as temporary:
        text = shown.astype(object).fillna("–").to_markdown(index=False, disable_numparse=True)
        temporary.write_text(text + "\n")
    with whole_file(latex) as temporary:
        # pdfLaTeX's fonts have no arrow; escaping leaves it alone.
        numbers = shown.select_dtypes("number").columns
        plain = shown.replace("→", "to", regex=True)
        style = plain.style.hide(axis="index").format(
            escape="latex", na_rep="–", formatter=dict.fromkeys(numbers, "{:g}")
        )
        temporary.write_text(style.to_latex(hrules=True))


def in_percent(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` without empty columns, and with what is given in percent as text."""
    shown = table.dropna(axis="columns", how="all").copy()
    for column in shown.columns.intersection(PERCENT):
        deviations = shown.pop(f"{column}{DEVIATION}") if f"{column}{DEVIATION}" in shown else None
        shown[column] = shown[column].map(lambda v: "–" if pd.isna(v) else f"{100 * v:.1f}")
        if deviations is not None:
            shown[column] += deviations.map(lambda v: "" if pd.isna(v) else f" ± {100 * v:.1f}")
    return shown
