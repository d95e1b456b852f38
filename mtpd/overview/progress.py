"""How far a training is: what a running one says of itself, and what a finished one has written."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FiniteFloat, NonNegativeInt

from mtpd.errors import UserError
from mtpd.layout import ModelFolder
from mtpd.overview.records import Epoch, History, read_history


def known(figure: float | None) -> float | None:
    """A figure, or None where there was nothing to measure, which is written as -1."""
    return figure if figure is not None and math.isfinite(figure) and figure >= 0 else None


class EpochDone(BaseModel):
    """One epoch that is over, validation included.

    Attributes:
        epoch: Counted from 1.
        loss: Mean of its iterations.
        ap: COCO's AP of the boxes on the validation split, a fraction; None: not validated.
        images_per_second: In training, of all processes together.
    """

    model_config = ConfigDict(frozen=True)

    epoch: NonNegativeInt
    loss: FiniteFloat | None = None
    ap: Annotated[float | None, AfterValidator(known)] = None
    images_per_second: FiniteFloat | None = None


class Progress(BaseModel):
    """What a training job says of itself in ``progress.json``.

    Attributes:
        state: ``saved``: the job was told to end, has saved its state, and does not run any more.
        epoch: The present one, counted from 1.
        iteration: How many are done, in all epochs.
        iterations: How many there are, in all epochs.
        seconds_per_iteration: Mean since the job began; None before the first.
        updated: When this was written, by the clock of ``host``, in seconds since 1970.
        loss: Mean of the present epoch so far; None before its first iteration.
        images_per_second: Of the present epoch so far, without validation.
        done: The epochs that are over.
    """

    model_config = ConfigDict(frozen=True)

    state: Literal["training", "validating", "saved"]
    epoch: NonNegativeInt
    epochs: NonNegativeInt
    iteration: NonNegativeInt
    iterations: NonNegativeInt
    seconds_per_iteration: FiniteFloat | None
    host: str
    pid: int
    slurm_job: str | None
    updated: FiniteFloat
    loss: FiniteFloat | None = None
    images_per_second: FiniteFloat | None = None
    done: tuple[EpochDone, ...] = ()

    @property
    def seconds_left(self) -> float | None:
        """What the iterations to come take at the speed so far; None: not known yet."""
        if self.seconds_per_iteration is None:
            return None
        return max(0.0, self.seconds_per_iteration * (self.iterations - self.iteration))

    @property
    def where(self) -> str:
        """The machine, with the Slurm job if there is one, or else the process."""
        job = f"process {self.pid}" if self.slurm_job is None else f"Slurm job {self.slurm_job}"
        return f"{self.host}, {job}"


def read_progress(path: Path) -> Progress | None:
    """What a training job says of itself; None if it says nothing that makes sense."""
    try:
        return Progress.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def epochs_trained(folder: ModelFolder) -> tuple[EpochDone, ...]:
    """Epochs of a training that has ended; none for weights that were not trained here."""
    try:
        found = folder.history.stat()
    except FileNotFoundError:
        return ()
    return _epochs_trained(folder, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _epochs_trained(folder: ModelFolder, _time: int, _size: int) -> tuple[EpochDone, ...]:
    """The same, read once as long as the file stays as it is."""
    try:
        history = read_history(folder)
    except UserError:  # whoever needs the file says so
        return ()
    return () if history is None else tuple(_done(history, *at) for at in enumerate(history.epochs))


def _done(history: History, place: int, epoch: Epoch) -> EpochDone:
    speed = None
    if epoch.train_seconds and history.images_per_step:
        speed = epoch.iterations * history.images_per_step / epoch.train_seconds
    return EpochDone(
        epoch=place + 1,
        loss=epoch.train.get("loss"),
        ap=epoch.val.get("bbox_mAP"),
        images_per_second=speed,
    )
