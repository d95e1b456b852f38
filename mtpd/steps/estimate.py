"""What experiments will take: the jobs that a dry run of Snakemake plans, priced."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from mtpd.errors import UserError
from mtpd.estimation.estimate import Estimate, estimate
from mtpd.estimation.plan import PLAN, PlannedJob, read_plan
from mtpd.estimation.speed import Speed
from mtpd.experiment.load import experiment_file, open_experiment
from mtpd.installation import LIBRARY, SNAKEFILE


def estimate_experiments(given: Sequence[str], results: Path, speed: Speed) -> list[Estimate]:
    """What is left to do of experiments, each with all that it consists of.

    Args:
        given: The experiments: their YAML files, or names.
        results: Folder of all results.
        speed: How long steps take.

    Raises:
        UserError: An experiment is wrong, or Snakemake cannot plan it.
    """
    experiments = {experiment_file(one): open_experiment(one, results) for one in given}
    found: dict[Path, Estimate] = {}
    for folder in dict.fromkeys(path.parent for path in experiments):
        paths = [path for path in experiments if path.parent == folder]
        planned = dry_run(folder, [path.stem for path in paths], results)
        estimates = estimate(planned, [experiments[path] for path in paths], speed)
        found.update(zip(paths, estimates, strict=True))
    return [found[path] for path in experiments]


def dry_run(folder: Path, names: Sequence[str], results: Path) -> list[PlannedJob]:
    """The jobs of experiments, as Snakemake plans them from the working folder.

    Args:
        folder: Of the experiments' YAML.
        names: Of the experiments.
        results: Folder of all results.

    Raises:
        UserError: Snakemake cannot plan them.
    """
    if not SNAKEFILE.is_file():
        raise UserError(SNAKEFILE, "is not there", "install mtpd again, as the README says")
    with tempfile.TemporaryDirectory(prefix="mtpd-") as temporary:
        config, plan = Path(temporary, "config.yaml"), Path(temporary, "plan.json")
        asked = {"experiments": list(names), "folder": str(folder), "results": str(results)}
        config.write_text(yaml.safe_dump(asked), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "--nolock"]
        command += ["--snakefile", str(SNAKEFILE), "--configfile", str(config)]
        paths = os.pathsep.join(
            [str(LIBRARY.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": paths, PLAN: str(plan)},
        )
        if done.returncode or not plan.is_file():
            _explain(done.stderr)
        return read_plan(plan)


def _explain(text: str) -> None:
    """End as Snakemake has ended."""
    lines = [line for line in text.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("error: ")]
    if own:
        sys.exit(own[-1])
    said = " ".join(line.strip() for line in lines[-3:]) or "said nothing"
    raise UserError("snakemake --dry-run", f"failed ({said})", "run it to see more")
