"""The results table as CSV, Markdown and LaTeX."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mtpd.files import whole_file

PERCENT = ["AP", "AP50", "AP75", "mask AP", "val AP"]


def write_table(table: pd.DataFrame, csv: Path, markdown: Path, latex: Path) -> None:
    """Write ``table`` three times; AP in percent with one decimal, missing cells as a dash."""
    shown = table.dropna(axis="columns", how="all").copy()
    for column in shown.columns.intersection(PERCENT):
        shown[column] = shown[column].map(lambda v: "–" if pd.isna(v) else f"{100 * v:.1f}")
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
