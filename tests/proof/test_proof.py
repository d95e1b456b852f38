"""Every experiment of the papers with its real, full-size configs: one step of every stage.

``make paper-proof`` runs it and writes docs/proof.md. What has passed is not run again.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from micro import PROJECT, SHARED_DATA
from proof.page import PAGE, PROOF
from proof.runs import EXPERIMENTS, Proof

from mtpd.experiment.load import load_experiment
from mtpd.experiment.runs import all_members
from mtpd.papers.paper import experiments_of, load_paper, products_of

NAMES = experiments_of(load_paper(PROJECT / "config" / "paper_tables.yaml"))

pytestmark = pytest.mark.skipif(
    not (SHARED_DATA / "tiny_coco").is_dir(), reason="needs the shared COCO images"
)


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
def test_experiment(name: str) -> None:
    run_to_the_end(Proof(PROOF), name)


@pytest.mark.proof
def test_tables_and_figures() -> None:
    proof = Proof(PROOF)
    proof.run("paper_tables")
    paper = load_paper(PROJECT / "config" / "paper_tables.yaml")
    for path in products_of(paper, proof.results):
        assert path.stat().st_size > 0


def run_to_the_end(proof: Proof, name: str) -> None:
    """Run the experiment; every detector and every run has a row, and every row a figure."""
    proof.prepare(name)
    proof.run("--config", f"experiments={name}")
    experiment = load_experiment(proof.experiment(name))
    assert (proof.records / f"{name}.json").is_file()
    table = pd.read_csv(proof.results / name / "tables" / "results.csv")
    assert set(all_members(experiment)) <= set(table["run"])
    assert set(experiment.detectors) <= set(table["detectors"])
    assert table["AP"].notna().all()


def test_the_page_has_every_experiment() -> None:
    text = PAGE.read_text()
    assert [name for name in NAMES if f"| {name} " not in text] == []


@pytest.fixture(scope="session")
def short_proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return Proof(tmp_path_factory.mktemp("proof"))


@pytest.mark.slow
def test_a_short_one(short_proof: Proof) -> None:
    """The harness itself, in every run of the tests: one detector from the zoo, one trained."""
    run_to_the_end(short_proof, "pgd_gfl")


def test_data_is_where_the_experiments_look(tmp_path: Path) -> None:
    for name in NAMES:
        root = load_experiment(EXPERIMENTS / f"{name}.yaml").data.root
        assert not root.is_absolute()
        assert root.parts[0] == "data"
