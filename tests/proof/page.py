"""The page of the documentation that says what has been proven, and what it took."""

from __future__ import annotations

import sys

import pandas as pd
from micro import PROJECT
from proof.reduced import CHANGES
from proof.runs import Proof

from mtpd.files import read_json
from mtpd.papers.paper import experiments_of, load_paper

PROOF = PROJECT / "results" / "proof"
PAGE = PROJECT / "docs" / "proof.md"

STEPS = ("train", "stage", "features", "evaluate")

TEMPLATE = """\
# The papers' experiments, proven without GPUs

Written by `make paper-proof`, which runs every experiment of `config/paper_tables.yaml` with its
real, full-size configs through the real workflow on a CPU: one step of every stage, the order,
every evaluation, and at last all tables and figures. Weights of the zoo are random numbers that a
local server gives out at the addresses that MMDetection lists, and go through download and checks
as real ones do. What differs from `config/experiments/`:

{changes}
So the accuracies there mean nothing. What remains to go wrong on a cluster is what needs its GPUs
(memory at full image size, mixed precision, several processes), the real host of the weights, and
the whole of the data.

Seconds are wall time on two cores with other work beside it, memory is the largest resident set of
a job's own process.

{table}
"""


def main() -> None:
    """Write the page from the records of a complete run.

    Raises:
        SystemExit: An experiment has no record.
    """
    rows = []
    for name in experiments_of(load_paper(PROJECT / "config" / "paper_tables.yaml")):
        record = Proof(PROOF).records / f"{name}.json"
        if not record.is_file():
            sys.exit(f"{name} has not been run; run all of `make paper-proof`")
        rows.append(_row(name, pd.DataFrame(read_json(record).values())))
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    PAGE.write_text(TEMPLATE.format(changes=CHANGES, table=table))


def _row(name: str, jobs: pd.DataFrame) -> dict[str, str]:
    peaks = jobs.groupby("step")["peak_gib"].max()
    return {
        "experiment": name,
        "jobs": str(len(jobs)),
        "seconds, all jobs": f"{jobs['seconds'].sum():.0f}",
        "longest job": f"{jobs['seconds'].max():.0f}",
        **{f"GiB, {step}": f"{peaks[step]:.1f}" if step in peaks else "–" for step in STEPS},
    }


if __name__ == "__main__":
    main()
