"""The papers' tables and figures, as far as there are measurements: from files alone, at any time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mtpd.errors import UserError
from mtpd.experiment import jobs
from mtpd.experiment.metrics import METRICS
from mtpd.experiment.paper import (
    FIGURE_SUFFIXES,
    TABLE_SUFFIXES,
    ApOverStages,
    CostMatrix,
    DirectAgainstProgressive,
    LossAgainstAp,
    Model,
    Paper,
    Reference,
    Table,
    models,
)
from mtpd.experiment.settings import Experiment
from mtpd.layout import Layout, PaperLayout
from mtpd.reporting.bars import Bar, Group, draw_bars
from mtpd.reporting.cost_matrix import draw_cost_matrix
from mtpd.reporting.generalisation import Trajectory, draw_loss_against_ap
from mtpd.reporting.measured import Measurements
from mtpd.reporting.paper import MeasuredTable, write_paper_table
from mtpd.reporting.records import read_costs, read_history
from mtpd.reporting.stages import Point, RunStages, draw_stages
from mtpd.steps.status import known_chains

NO_TEACHER = "without teacher"


def write_paper(
    paper: Paper, experiments: Mapping[str, Experiment], results: Path, items: Iterable[str]
) -> list[Path]:
    """Write ``items``, and give the files that were written.

    What has not been measured is marked as missing, so that it can be called at any time.

    Args:
        paper: The tables and figures.
        experiments: Those that ``items`` need, by name.
        results: Folder of all results.
        items: Keys of tables and figures, such as ``tables.mtpd_best``.

    Raises:
        UserError: A file below ``results`` is not what its step writes.
    """
    chains = {
        name: known_chains(experiment, Layout(results, name))
        for name, experiment in experiments.items()
    }
    writer = _Writer(paper, Measurements(experiments, results, chains))
    return [path for item in items for path in writer.write(item)]


@dataclass(frozen=True)
class _Writer:
    paper: Paper
    measured: Measurements

    def write(self, key: str) -> list[Path]:
        kind, _, name = key.partition(".")
        item, layout = self.paper.items[key], PaperLayout(self.measured.results)
        if isinstance(item, Table):
            paths = [layout.table(name, suffix) for suffix in TABLE_SUFFIXES]
            write_paper_table(MeasuredTable(name, item, self._rows(item)), *paths)
            return paths
        paths = [layout.figure(name, suffix) for suffix in FIGURE_SUFFIXES]
        if isinstance(item, DirectAgainstProgressive):
            self._bars(item, paths)
        elif isinstance(item, ApOverStages):
            self._stages(item, paths)
        elif isinstance(item, LossAgainstAp):
            self._loss_against_ap(item, paths)
        else:
            self._cost_matrix(item, paths)
        return paths
