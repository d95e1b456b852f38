"""Training states on disk: what a training that was killed goes on from."""

from __future__ import annotations

import logging
import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of, whole_file, write_json

KEPT = 2

logger = logging.getLogger(__name__)


class TrainingStates:
    """The newest states of one training, each a file with its hash beside it.

    A state counts once its hash is written, so a kill at any moment leaves the states before it.
    Which is newest is told by its iteration: clocks may go backwards.

    Args:
        folder: Of the states; holds nothing else.
        identity: Digest of all that the training depends on. States of another are not used.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        self.identity = identity

    def save(self, iteration: int, state: dict[str, Any]) -> bool:
        """Write ``state`` after so many iterations, and remove all but the newest two.

        Returns:
            Whether it could be written; a full disk is no reason to lose the training.
        """
        path = self.folder / f"{iteration:09d}.pth"
        try:
            with whole_file(path) as temporary:
                torch.save(state, temporary)
            record = {"sha256": sha256_of(path), "identity": self.identity}
            write_json(path.with_suffix(".json"), record)
        except (OSError, RuntimeError) as error:  # torch says RuntimeError of a full disk
            # As text: what holds the error holds the file, and so its place on the disk.
            logger.warning("the training state could not be saved (%s); going on", str(error))
            path.unlink(missing_ok=True)
            return False
        for old in self._paths()[KEPT:]:
            self._remove(old)
        return True

    def newest(self) -> dict[str, Any] | None:
        """The newest whole state of this training; None if there is none.

        Whatever is damaged, or belongs to another training, is passed over with a word.
        """
        for path in self._paths():
            problem = self._problem(path)
            if problem is None:
                try:
                    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                except pickle.UnpicklingError:
                    problem = "it holds more than tensors and plain values"
                else:
                    return state
            logger.warning("%s is not used: %s", path, problem)
        return None

    @property
    def is_empty(self) -> bool:
        """Whether there is none at all, damaged ones included: the training begins anew."""
        return not self._paths()

    def clear(self) -> None:
        """Remove all states, when the training is complete or starts anew."""
        for path in self._paths():
            self._remove(path)

    def _paths(self) -> list[Path]:
        """Files of states, newest first, whether or not they are whole."""
        found = [path for path in self.folder.glob("*.pth") if re.fullmatch(r"\d+", path.stem)]
        return sorted(found, key=lambda path: int(path.stem), reverse=True)

    def _problem(self, path: Path) -> str | None:
        try:
            record = read_json(path.with_suffix(".json"))
        except UserError as error:
            return f"it was not finished ({error.problem})"
        if not isinstance(record, dict) or record.get("sha256") != sha256_of(path):
            return "it is damaged: its SHA-256 is not the recorded one"
        if record.get("identity") != self.identity:
            return "it belongs to a training with other settings, weights or data"
        return None

    @staticmethod
    def _remove(path: Path) -> None:
        # The hash goes first: what is left of a removal that was cut short is no state.
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def random_state() -> dict[str, Any]:
    """States of all random generators, of types that load with ``weights_only=True``."""
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002  the one that MMDetection draws from
    keys = torch.from_numpy(numpy["state"]["key"].astype(np.int64))
    version, internal, gauss = random.getstate()
    return {
        "python": (version, torch.tensor(internal), gauss),
        "numpy": {**numpy, "state": {**numpy["state"], "key": keys}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put all random generators back to where :func:`random_state` found them."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal.tolist()), gauss))
    keys = state["numpy"]["state"]["key"].numpy().astype(np.uint32)
    numpy = {**state["numpy"], "state": {**state["numpy"]["state"], "key": keys}}
    np.random.set_state(numpy)  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
