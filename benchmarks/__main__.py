"""Run every benchmark, one core each, and print its table."""

from __future__ import annotations

import sys

import pandas as pd

from benchmarks import costs, distillation_step, startup

TABLES = {
    "distillation step": distillation_step.measure,
    "adaptation costs": costs.measure,
    "start-up": startup.measure,
}

for title, measure in TABLES.items():
    table = pd.DataFrame(measure()).to_markdown(index=False)
    sys.stdout.write(f"\n{title}\n\n{table}\n")
    sys.stdout.flush()
