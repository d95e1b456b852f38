"""Running a paper's experiment, reduced, with the real workflow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from micro import PROJECT, SHARED_DATA
from proof.data import make_data
from proof.reduced import detectors, reduced
from proof.watch import watched
from proof.weights import MIRRORS, publish, publish_backbone, served

from mtpd.files import sha256_of
from mtpd.zoo.sources import zoo_weights

EXPERIMENTS = PROJECT / "config" / "experiments"
COCO = SHARED_DATA / "tiny_coco"


@dataclass(frozen=True)
class Proof:
    """A folder in which the workflow runs as in a project of its own.

    It is kept: what is there already is not made again.
    """

    folder: Path

    @property
    def results(self) -> Path:
        """Folder of all results."""
        return self.folder / "results"

    @property
    def records(self) -> Path:
        """Folder of each experiment's jobs with their time and memory."""
        return self.folder / "jobs"

    def prepare(self, name: str) -> None:
        """Make what the experiment ``name`` needs: its reduced YAML, data, and weights."""
        raw = yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text())
        # In the experiment, data and configs lie relative to the folder that it is run in.
        make_data(raw["data"]["source"], COCO, self.folder / raw["data"]["root"])
        if not (self.folder / "config").exists():
            (self.folder / "config").symlink_to(PROJECT / "config")
        hashes, backbones = {}, {}
        for detector in detectors(raw):
            config = detector["config"]
            backbones[config] = publish_backbone(config, self.host)
            if "zoo" in (detector.get("weights"), detector.get("start_from")):
                hashes[config] = sha256_of(publish(config, zoo_weights(config), self.host))
        file = self.experiment(name)
        file.parent.mkdir(exist_ok=True)
        text = yaml.safe_dump(reduced(raw, hashes, backbones), sort_keys=False)
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)

    @property
    def names(self) -> list[str]:
        """Names of the experiments that were prepared."""
        return [file.stem for file in sorted(self.folder.glob("experiments/*"))]

    def experiment(self, name: str) -> Path:
        """The reduced YAML of the experiment ``name``."""
        return self.folder / "experiments" / f"{name}.yaml"

    @property
    def host(self) -> Path:
        """What the local server serves."""
        return self.folder / "host"

    def run(self, *arguments: str) -> None:
        """Run Snakemake to the end; its output is in ``snakemake.log``.

        Raises:
            AssertionError: It failed.
        """
        log = self.folder / "snakemake.log"
        with self._served_config() as config, log.open("w") as output:
            command = [
                sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"),
                "--directory", str(self.folder), "--configfile", str(config),
                "--cores", "2", "--keep-going", *arguments,
            ]  # fmt: skip
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": ""},
            )
            try:
                with watched(process.pid, self.records, self.names):
                    process.wait()
            finally:
                process.kill()
        assert process.returncode == 0, "\n".join(log.read_text().splitlines()[-60:])

    @contextmanager
    def _served_config(self) -> Iterator[Path]:
        """The workflow's config, with the local server in place of the weights' host."""
        with served(self.host) as address:
            config: dict[str, Any] = {
                "experiments": self.names,
                "folder": "experiments",
                "results": "results",
                "zoo": {"cache": "cache", "mirrors": dict.fromkeys(MIRRORS, address)},
            }
            path = self.folder / "workflow.yaml"
            path.write_text(yaml.safe_dump(config))
            yield path
