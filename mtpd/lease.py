"""GPUs of one machine, each lent to one job at a time.

A job holds a file lock for each of its GPUs. The operating system drops the locks when the job
ends, however it ends, so nothing is left behind that would have to be cleaned up. Children do not
inherit them: what outlives its job keeps no GPU from others.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import Timeout, UnixFileLock

from mtpd.errors import MachineError

VISIBLE = "CUDA_VISIBLE_DEVICES"
FOLDER = "MTPD_GPU_LOCKS"
# Not tempfile's folder: TMPDIR may differ between jobs, and then they would not see each other.
DEFAULT_FOLDER = Path("/tmp/mtpd-gpus")

QUERY_SECONDS = 120
_LISTED = re.compile(r"^(GPU \d+:|\s+MIG ).*\(UUID: ([^)\s]+)\)", re.MULTILINE)
_DEVICE = re.compile(r"\d+|GPU-[\w-]+|MIG-[\w/-]+")
_ASK_TORCH = """\
import torch
for index in range(torch.cuda.device_count()):
    print(f"GPU {index}: (UUID: GPU-{torch.cuda.get_device_properties(index).uuid})")
"""


class Gpu(NamedTuple):
    """A GPU of this machine.

    Attributes:
        uuid: As the driver names it.
        instances: UUIDs of its MIG instances; empty where it is not divided.
    """

    uuid: str
    instances: tuple[str, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """What of it a job can use: the instances, or the GPU as a whole."""
        return self.instances or (self.uuid,)


@contextmanager
def leased_gpus(count: int, poll_seconds: float = 1.0) -> Iterator[tuple[str, ...]]:
    """Hold ``count`` GPUs that no other job holds; wait while there are too few.

    Inside, ``CUDA_VISIBLE_DEVICES`` names them, for this process and its children: enter before
    torch first uses CUDA. A job of no GPU sees none. All are taken together or none is, so two
    jobs that want several each do not wait for one another. So it is inside a job of Slurm too:
    where one allocation runs a whole workflow, its devices are those of several jobs.

    GPUs are chosen among those that ``CUDA_VISIBLE_DEVICES`` names, its numbers counted as
    ``nvidia-smi`` counts; if it is not set, among all. Locks lie in the folder that
    ``MTPD_GPU_LOCKS`` names, by default in one for all users of the machine.

    Args:
        count: GPUs that the job uses.
        poll_seconds: Time between two attempts while waiting.

    Yields:
        The devices' UUIDs; numbers where neither ``nvidia-smi`` nor torch knows the UUIDs.

    Raises:
        MachineError: There are not as many GPUs, or an environment variable is wrong.
    """
    with ExitStack() as stack:
        devices: tuple[str, ...] = ()
        if count:
            devices = stack.enter_context(_locked(count, _usable(count), poll_seconds))
        stack.enter_context(_visible(devices))
        yield devices


def _usable(count: int) -> tuple[str, ...]:
    """Devices that jobs of this user may have here; at least ``count``."""
    restricted = VISIBLE in os.environ
    found: Sequence[str] = ()
    if not restricted:
        found = [device for gpu in installed_gpus() for device in gpu.devices]
    elif names := _named():
        gpus = installed_gpus()
        found = [device for name in names for device in _resolved(name, gpus)] if gpus else names
    if len(set(found)) < len(found):
        raise _wrong("names a device twice")
    if len(found) < count:
        where = f"{VISIBLE}={os.environ[VISIBLE]}" if restricted else "this machine"
        raise MachineError(
            where,
            f"the job needs {count} GPU{'s' if count > 1 else ''} and may use {len(found)}",
            "lower gpus under the experiment's resources, or give it more devices",
        )
    return tuple(found)


def _named() -> tuple[str, ...]:
    """Devices that ``CUDA_VISIBLE_DEVICES`` names; as for CUDA, ``-1`` ends the list."""
    names: list[str] = []
    for part in os.environ[VISIBLE].split(","):
        name = part.strip()
        if name == "-1" or os.environ[VISIBLE].strip() in ("", "NoDevFiles"):  # Slurm's "none"
            break
        if not _DEVICE.fullmatch(name):
            raise _wrong(f"{name!r} is no device")
        names.append(str(int(name)) if name.isdigit() else name)
    return tuple(names)


def _resolved(name: str, gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """UUIDs of the device called ``name``: a number, or a UUID or the start of one."""
    if name.isdigit():
        found = [gpu.devices for gpu in gpus[int(name) : int(name) + 1]]
    else:
        known = {gpu.uuid: gpu.devices for gpu in gpus}
        known |= {instance: (instance,) for gpu in gpus for instance in gpu.instances}
        found = [devices for uuid, devices in known.items() if uuid.startswith(name)]
    if len(found) != 1:
        listed = ", ".join(f"{index}: {gpu.uuid}" for index, gpu in enumerate(gpus))
        raise _wrong(f"{name!r} names {len(found) or 'none'} of the GPUs here ({listed})")
    return found[0]


def installed_gpus() -> list[Gpu]:
    """GPUs of this machine in the order of ``nvidia-smi``.

    Where that command is missing or fails, torch is asked, in a process of its own: this one
    must not have used CUDA before its devices are chosen.

    Raises:
        MachineError: The driver does not answer.
    """
    environment = {key: value for key, value in os.environ.items() if key != VISIBLE}
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    commands = [["nvidia-smi", "-L"], [sys.executable, "-c", _ASK_TORCH]]
    for command in commands:
        if shutil.which(command[0]) is None:
            continue
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=QUERY_SECONDS,
                env=environment,
            )
        except subprocess.TimeoutExpired as error:
            problem = f"has not listed the GPUs within {QUERY_SECONDS} seconds"
            raise MachineError(command[0], problem, "check the GPU's driver") from error
        if done.returncode == 0:
            return _listed(done.stdout)
    return []


def _listed(text: str) -> list[Gpu]:
    """The GPUs in a list as ``nvidia-smi -L`` prints it."""
    gpus: list[Gpu] = []
    for kind, uuid in _LISTED.findall(text):
        if kind.startswith("GPU"):
            gpus.append(Gpu(uuid, ()))
        else:
            gpus[-1] = Gpu(gpus[-1].uuid, (*gpus[-1].instances, uuid))
    return gpus


@contextmanager
def _locked(count: int, devices: Sequence[str], poll_seconds: float) -> Iterator[tuple[str, ...]]:
    """Hold the locks of ``count`` of ``devices``, as soon as as many are free."""
    folder = _folder()
    waiting = False
    while True:
        try:
            taken, locks = _free(count, devices, folder)
        except (OSError, NotImplementedError) as error:
            problem = f"files cannot be locked there ({getattr(error, 'strerror', None) or error})"
            remedy = f"set {FOLDER} to a writable folder on a local disk"
            raise MachineError(folder, problem, remedy) from error
        if taken:
            break
        if not waiting:
            text = "waiting for %d of the GPUs %s: other jobs hold them"
            logging.getLogger(__name__).warning(text, count, ", ".join(devices))
            waiting = True
        time.sleep(poll_seconds)
    with locks:
        yield taken


def _free(count: int, devices: Sequence[str], folder: Path) -> tuple[tuple[str, ...], ExitStack]:
    """The first ``count`` devices that nobody holds, with their locks; none if there are fewer."""
    taken: list[str] = []
    # One job looks at a time, or two could each see the other's half and both go away.
    with _lock(folder, "choosing"), ExitStack() as stack:
        for device in devices:
            try:
                stack.enter_context(_lock(folder, _unique(device)).acquire(blocking=False))
            except Timeout:
                continue
            taken.append(device)
            if len(taken) == count:
                return tuple(taken), stack.pop_all()
    return (), ExitStack()


def _unique(device: str) -> str:
    """Name of the device's lock.

    A number means another GPU on every machine, and may do so in every job of Slurm; a UUID does
    not.
    """
    if not device.isdigit():
        return device.replace("/", "_")
    return "-".join([socket.gethostname(), os.environ.get("SLURM_JOB_ID", ""), device])


def _lock(folder: Path, name: str) -> UnixFileLock:
    """A lock that ends with its process, never a mere marker; every user may take it."""
    return UnixFileLock(folder / f"{name}.lock", mode=0o666, fallback_to_soft=False)


def _folder() -> Path:
    """The folder of the locks, which exists."""
    chosen = os.environ.get(FOLDER)
    folder = Path(chosen) if chosen else DEFAULT_FOLDER
    if not folder.is_absolute():
        problem = f"{chosen!r} is a relative path, so it is another folder in every working folder"
        raise MachineError(FOLDER, problem, "give an absolute path")
    mask = os.umask(0)
    try:
        # As the temporary folder: all may add locks, and take away none but their own.
        folder.mkdir(mode=0o1777, exist_ok=True)
    except OSError as error:
        where = FOLDER if chosen else folder
        problem = f"cannot make the folder '{folder}' ({error.strerror})"
        raise MachineError(
            where, problem, f"set {FOLDER} to a folder that you may create"
        ) from error
    finally:
        os.umask(mask)
    return folder


@contextmanager
def _visible(devices: Sequence[str]) -> Iterator[None]:
    """Let CUDA see ``devices`` alone."""
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = ",".join(devices)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


def _wrong(problem: str) -> MachineError:
    value = os.environ[VISIBLE]
    return MachineError(
        f"{VISIBLE}={value}", problem, "give numbers or UUIDs as nvidia-smi -L lists them"
    )
