"""The lease of GPUs, with real processes on a machine whose nvidia-smi is a script of ours."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mtpd.errors import UserError
from mtpd.files import write_json
from mtpd.lease import Gpu, installed_gpus, leased_gpus

UUIDS = tuple(f"GPU-{digit * 8}-0000-0000-0000-000000000000" for digit in "abc")
MIG = tuple(f"MIG-{digit * 8}-0000-0000-0000-000000000000" for digit in "12")
POLL = 0.02

HOLD = """
import sys, time
from mtpd.lease import leased_gpus
with leased_gpus(int(sys.argv[1]), poll_seconds=0.02) as devices:
    print(*devices, flush=True)
    {inside}
"""


def listing(uuids: tuple[str, ...], mig: tuple[str, ...] = ()) -> str:
    lines = []
    for index, uuid in enumerate(uuids):
        lines.append(f"GPU {index}: NVIDIA A100-SXM4-40GB (UUID: {uuid})")
        if index == 0:
            lines += [f"  MIG 3g.20gb     Device  {n}: (UUID: {m})" for n, m in enumerate(mig)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Become a machine with these GPUs; returns the folder of the locks."""
    for variable in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MTPD_GPU_LOCKS", str(tmp_path / "locks"))

    def become(uuids: tuple[str, ...] = UUIDS, mig: tuple[str, ...] = (), status: int = 0) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "list").write_text(listing(uuids, mig))
        script = folder / "nvidia-smi"
        script.write_text(f"#!/bin/sh\ncat {folder / 'list'}\nexit {status}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path / "locks"

    return become


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python processes that are killed, if still there, when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def python(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield python
    for process in started:
        process.kill()
        process.communicate()


def holder(start, count: int, inside: str = "time.sleep(60)", code: str = HOLD, arguments=()):
    """A process that holds ``count`` GPUs, and the devices that it has got."""
    process = start(code.format(inside=inside), count, *arguments)
    devices = tuple(process.stdout.readline().split())
    assert devices, process.stderr.read()
    return process, devices


def line_of(error: UserError) -> str:
    assert "\n" not in str(error)
    return str(error)


# What is chosen


def test_cuda_sees_what_was_leased_and_no_more(machine) -> None:
    machine()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    with leased_gpus(2) as devices:
        assert devices == UUIDS[:2]
        child = [sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
        seen = subprocess.run(child, capture_output=True, text=True, check=True).stdout
        assert seen.strip() == ",".join(UUIDS[:2])
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", [UUIDS[1]]),
        ("2,0", [UUIDS[2], UUIDS[0]]),
        (" 1 , 2 ", [UUIDS[1], UUIDS[2]]),
        (UUIDS[2], [UUIDS[2]]),
        ("GPU-b", [UUIDS[1]]),
        (f"0,{UUIDS[2]}", [UUIDS[0], UUIDS[2]]),
        ("1,-1,2", [UUIDS[1]]),
    ],
)
def test_restricted_to_some_devices(machine, monkeypatch, value: str, expected: list[str]) -> None:
    machine()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with leased_gpus(len(expected)) as devices:
        assert list(devices) == expected
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(expected)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == value
    with pytest.raises(UserError, match="may use"), leased_gpus(len(expected) + 1):
        pass


@pytest.mark.parametrize("value", ["", "-1", "-1,0", "NoDevFiles"])
def test_restricted_to_nothing(machine, monkeypatch, value: str) -> None:
    machine()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(UserError) as caught, leased_gpus(1):
        pass
    assert "needs 1 GPU and may use 0" in line_of(caught.value)


@pytest.mark.parametrize("before", [None, "0,1"])
def test_a_job_of_no_gpu_sees_none_and_takes_none(machine, monkeypatch, before) -> None:
    locks = machine()
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    with leased_gpus(0) as devices:
        assert devices == ()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before
    assert not locks.exists()


def test_instances_of_a_divided_gpu_are_devices(machine, monkeypatch) -> None:
    machine(mig=MIG)
    assert installed_gpus() == [Gpu(UUIDS[0], MIG), Gpu(UUIDS[1], ()), Gpu(UUIDS[2], ())]
    with leased_gpus(3) as devices:
        assert devices == (*MIG, UUIDS[1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", MIG[1])
    with leased_gpus(1) as devices:
        assert devices == MIG[1:]


def test_without_a_driver_the_numbers_are_believed(machine, monkeypatch) -> None:
    machine(status=9)  # and torch finds none here either, or the UUIDs of real ones
    monkeypatch.setattr("mtpd.lease._ASK_TORCH", "raise SystemExit(1)")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with leased_gpus(2) as devices:
        assert devices == ("3", "5")


def test_torch_is_asked_where_nvidia_smi_fails(machine, monkeypatch) -> None:
    machine(status=9)
    monkeypatch.setattr("mtpd.lease._ASK_TORCH", f"print('''{listing(UUIDS[:1])}''')")
    with leased_gpus(1) as devices:
        assert devices == UUIDS[:1]


def test_torch_speaks_as_nvidia_smi_does(machine, tmp_path, monkeypatch) -> None:
    machine(status=9)
    fake = tmp_path / "modules"
    fake.mkdir()
    (fake / "torch.py").write_text(
        "from types import SimpleNamespace as N\n"
        f"uuids = {[uuid.removeprefix('GPU-') for uuid in UUIDS]}\n"
        "cuda = N(device_count=lambda: len(uuids),"
        " get_device_properties=lambda index: N(uuid=uuids[index]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(fake))
    assert installed_gpus() == [Gpu(uuid, ()) for uuid in UUIDS]


def test_torch_is_not_imported(machine, start) -> None:
    machine()
    inside = "assert not {'torch', 'numpy', 'mmengine'} & set(sys.modules)"
    process, _ = holder(start, 1, inside)
    assert process.wait() == 0, process.stderr.read()


# Slurm


def test_two_jobs_inside_one_allocation_of_one_gpu(machine, monkeypatch, start) -> None:
    """`sbatch --gpus=1 --wrap snakemake`: the second waits until the first has ended."""
    machine()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    process, devices = holder(start, 1)
    assert devices == (UUIDS[1],)
    second = start(HOLD.format(inside="pass"), 1)
    time.sleep(0.5)
    assert second.poll() is None
    process.kill()
    assert second.communicate(timeout=20)[0].split() == [UUIDS[1]]


def test_a_number_that_nobody_knows_is_another_gpu_in_every_job(
    machine, monkeypatch, start
) -> None:
    """In its own cgroup every job may see a "0"; without UUIDs they cannot be told apart."""
    machine(status=1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for number in ("7", "8"):
        monkeypatch.setenv("SLURM_JOB_ID", number)
        _, devices = holder(start, 1)
        assert devices == ("0",)


def test_jobs_inside_one_allocation_share_it_by_lease(machine, monkeypatch, start) -> None:
    machine()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    _, first = holder(start, 1)
    _, second = holder(start, 1)
    assert {*first, *second} == {UUIDS[1], UUIDS[2]}


# Wrong values


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("zero", "'zero' is no device"),
        ("0;1", "'0;1' is no device"),
        ("0,,1", "'' is no device"),
        ("0,1.5", "'1.5' is no device"),
        ("3", "'3' names none of the GPUs here"),
        ("GPU-ffff", "'GPU-ffff' names none"),
        ("GPU-", "'GPU-' is no device"),
        ("0,0", "names a device twice"),
        (f"1,{UUIDS[1]}", "names a device twice"),
    ],
)
def test_wrong_devices_are_one_line(machine, monkeypatch, value: str, words: str) -> None:
    machine()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(UserError) as caught, leased_gpus(1):
        pass
    assert words in line_of(caught.value)
    assert f"CUDA_VISIBLE_DEVICES={value}" in line_of(caught.value)


def test_an_ambiguous_uuid(machine, monkeypatch) -> None:
    machine(("GPU-aa1", "GPU-aa2"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa")
    with pytest.raises(UserError, match="'GPU-aa' names 2 of the GPUs"), leased_gpus(1):
        pass


def test_more_gpus_than_there_are(machine) -> None:
    machine()
    with pytest.raises(UserError) as caught, leased_gpus(4):
        pass
    assert "this machine: the job needs 4 GPUs and may use 3" in line_of(caught.value)


@pytest.mark.parametrize("kind", ["relative", "below a file", "a file", "no folder above"])
def test_wrong_folders_of_locks_are_one_line(machine, tmp_path, monkeypatch, kind: str) -> None:
    machine()
    file = tmp_path / "file"
    file.touch()
    folders = {"relative": "locks", "below a file": file / "locks", "a file": file}
    monkeypatch.setenv("MTPD_GPU_LOCKS", str(folders.get(kind, tmp_path / "no" / "locks")))
    with pytest.raises(UserError) as caught, leased_gpus(1):
        pass
    assert line_of(caught.value).startswith("MTPD_GPU_LOCKS: ")


def test_a_driver_that_hangs(machine, monkeypatch) -> None:
    machine()
    script = Path(os.environ["PATH"].split(":")[0]) / "nvidia-smi"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("mtpd.lease.QUERY_SECONDS", 0.2)
    with pytest.raises(UserError) as caught, leased_gpus(1):
        pass
    assert line_of(caught.value).startswith("nvidia-smi: has not listed the GPUs")


def test_a_file_system_without_flock_is_refused_not_marked(machine, monkeypatch) -> None:
    machine()

    def missing(_descriptor: int, _operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", missing)
    with pytest.raises(UserError, match="files cannot be locked there"), leased_gpus(1):
        pass


# Who holds


@pytest.mark.parametrize("names", [("1", UUIDS[1]), (UUIDS[1], "1"), ("GPU-b", "1")])
def test_a_number_and_a_uuid_are_the_same_device(machine, monkeypatch, start, names) -> None:
    machine()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names[0])
    first, _ = holder(start, 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names[1])
    second = start(HOLD.format(inside="pass"), 1)
    assert "waiting for 1 of the GPUs" in second.stderr.readline()
    first.kill()
    assert second.wait() == 0
    assert second.stdout.read().split() == [UUIDS[1]]


def test_waiting_is_said_once(machine, start) -> None:
    machine()
    first, _ = holder(start, 3)
    second = start(HOLD.format(inside="pass"), 2)
    said = second.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=20 * POLL)
    first.kill()
    assert second.wait() == 0
    assert said == f"waiting for 2 of the GPUs {', '.join(UUIDS)}: other jobs hold them\n"
    assert second.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_a_killed_job_holds_nothing(machine, start, number: signal.Signals) -> None:
    machine(UUIDS[:1])
    process, devices = holder(start, 1)
    process.send_signal(number)
    assert process.wait() != 0
    with leased_gpus(1, POLL) as again:
        assert again == devices


SURVIVORS = {
    "command": "import subprocess; child = subprocess.Popen(['sleep', '60']).pid",
    "command that inherits descriptors": (
        "import subprocess; child = subprocess.Popen(['sleep', '60'], close_fds=False).pid"
    ),
    "fork": "import os\n    child = os.fork()\n    if not child: time.sleep(60); os._exit(0)",
    "multiprocessing": (
        "import multiprocessing as m\n    worker = m.get_context('fork')"
        ".Process(target=time.sleep, args=(60,)); worker.start(); child = worker.pid"
    ),
}


@pytest.mark.parametrize("kind", SURVIVORS)
def test_a_child_that_survives_its_job_holds_nothing(machine, start, kind: str) -> None:
    machine(UUIDS[:1])
    inside = f"{SURVIVORS[kind]}\n    print(child, flush=True); time.sleep(60)"
    process, _ = holder(start, 1, inside)
    child = int(process.stdout.readline())
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)  # it does survive
        with leased_gpus(1, POLL) as devices:
            assert devices == UUIDS[:1]
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_ends_or_leaves_the_lease_does_not_give_it_back(machine, start) -> None:
    machine(UUIDS[:1])
    inside = (
        "import os, gc\n"
        "    child = os.fork()\n"
        "    if child: os.waitpid(child, 0); print('ended', flush=True); time.sleep(60)\n"
        "gc.collect()"  # only the child comes here: it has left the with block, and exits
    )
    process, _ = holder(start, 1, inside)
    assert process.stdout.readline() == "ended\n"
    other = start(HOLD.format(inside="pass"), 1)
    assert "waiting" in other.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(timeout=20 * POLL)
    process.kill()
    assert other.wait() == 0


def test_an_error_inside_gives_the_gpus_back(machine, start) -> None:
    machine()
    with pytest.raises(RuntimeError, match="broken"), leased_gpus(3):
        raise RuntimeError("broken")
    _, devices = holder(start, 3)
    assert devices == UUIDS


def test_who_waits_for_two_keeps_none_from_others(machine, start) -> None:
    machine()
    holder(start, 2)
    patient = start(HOLD.format(inside="pass"), 2)
    assert "waiting for 2" in patient.stderr.readline()
    with leased_gpus(1, POLL) as devices:
        assert devices == UUIDS[2:]


# Many at once

COMPETE = """
import os, random, sys, time
from mtpd.lease import leased_gpus
record, rounds = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND), int(sys.argv[2])
chance = random.Random(sys.argv[3])
def note(what, device):
    os.write(record, f"{what} {device} {os.getpid()}\\n".encode())
for _ in range(rounds):
    with leased_gpus(chance.choice((1, 2, 2)), poll_seconds=0.01) as devices:
        for device in devices:
            note("take", device)
        time.sleep(chance.uniform(0, 0.02))
        for device in devices:
            note("drop", device)
"""


def overlaps(record: Path, killed: set[int] = frozenset()) -> tuple[int, Counter[str]]:
    """How often a device was taken while another held it, and how often each was taken.

    Lines are appended inside the lease, so their order is the order of the leases.
    """
    holding: dict[str, set[int]] = defaultdict(set)
    taken: Counter[str] = Counter()
    count = 0
    for line in record.read_text().splitlines():
        what, device, process = line.split()
        if what == "drop":
            holding[device].remove(int(process))
            continue
        holding[device] -= killed - {int(process)}
        count += bool(holding[device])
        holding[device].add(int(process))
        taken[device] += 1
    return count, taken


def test_overlap_would_be_seen(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.write_text("take a 1\ntake b 2\ndrop a 1\ntake a 2\ntake a 3\n")
    assert overlaps(record) == (1, Counter(a=3, b=1))
    assert overlaps(record, {2}) == (0, Counter(a=3, b=1))


def test_jobs_that_want_several_neither_overlap_nor_deadlock(machine, tmp_path, start) -> None:
    machine()
    record = tmp_path / "record"
    record.touch()
    processes = [start(COMPETE, record, 12, seed) for seed in range(6)]
    for process in processes:
        assert process.wait(timeout=60) == 0, process.stderr.read()
    count, taken = overlaps(record)
    assert count == 0
    assert sum(taken.values()) >= 6 * 12


def test_killed_at_random_moments_no_gpu_is_lost_or_shared(machine, tmp_path, start) -> None:
    locks = machine()
    record = tmp_path / "record"
    record.touch()
    chance = random.Random(0)
    killed: set[int] = set()
    running = [start(COMPETE, record, 1000, seed) for seed in range(3)]
    for seed in range(3, 15):
        lines = len(record.read_text().splitlines())
        wanted = lines + chance.randrange(1, 12)
        while len(record.read_text().splitlines()) < wanted:  # the others go on after each kill
            assert all(process.poll() is None for process in running)
        victim = running.pop(chance.randrange(len(running)))
        victim.kill()
        victim.wait()
        killed.add(victim.pid)
        running.append(start(COMPETE, record, 1000, seed))
    for process in running:
        process.kill()
        process.wait()
        killed.add(process.pid)
    count, taken = overlaps(record, killed)
    assert count == 0
    assert sum(taken.values()) > len(killed)
    with leased_gpus(3, POLL) as devices:
        assert devices == UUIDS
    assert sorted(path.stem for path in locks.iterdir()) == sorted((*UUIDS, "choosing"))


# Several users

HOLD_AS = "import os, sys; import mtpd.lease; os.setuid(int(sys.argv[2]))\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
@pytest.mark.parametrize("users", [(0, 65534), (65534, 0), (65534, 65533)])
def test_users_do_not_share_a_gpu_either(monkeypatch, start, users) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("PATH", "/nowhere")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        Path(folder).chmod(0o777)
        monkeypatch.setenv("MTPD_GPU_LOCKS", f"{folder}/locks")
        code = HOLD_AS + "mtpd.lease.installed_gpus = list\n" + HOLD
        _, first = holder(start, 1, code=code, arguments=users[:1])
        second, devices = holder(start, 1, "pass", code=code, arguments=users[1:])
        assert (first, devices) == (("0",), ("1",))
        assert second.wait() == 0


def test_the_umask_does_not_keep_other_users_out(machine) -> None:
    locks = machine()
    mask = os.umask(0o077)
    try:
        with leased_gpus(1):
            pass
    finally:
        os.umask(mask)
    assert stat.S_IMODE(locks.stat().st_mode) == 0o1777
    assert {stat.S_IMODE(path.stat().st_mode) for path in locks.iterdir()} == {0o666}


# The commands

COMMANDS = {
    "train": "train --detector a",
    "stage": "stage --method fm --chain a",
    "evaluate": "evaluate --detector a",
    "features": "features --detector a",
}

RUN_ALL = """
import os, sys
from types import SimpleNamespace
import mtpd.lease
from mtpd.cli import app

def lease(count):
    assert steps_done or "torch" not in sys.modules
    return real(count)

def step(*_):
    steps_done.append(os.environ["CUDA_VISIBLE_DEVICES"] or "none")

steps_done = []
real, mtpd.lease.leased_gpus = mtpd.lease.leased_gpus, lease
functions = {
    "train": "train_detector",
    "stage": "train_stage",
    "features": "cache_features",
    "evaluate": "evaluate_detector",
}
for name in ("train", "stage", "evaluate", "features"):
    steps = SimpleNamespace(**{functions[name]: step, "evaluate_stage": step})
    sys.modules[f"mtpd.steps.{name}"] = steps
for command in sys.argv[2:]:
    name, *options = command.split()
    app([name, sys.argv[1], *options], standalone_mode=False)
print(*steps_done)
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results with what the commands need, by name only."""
    folder = tmp_path / "results"
    splits = {split: {"sha256": ""} for split in ("train", "val", "test")}
    write_json(folder / "micro" / "data" / "dataset.json", {"splits": splits, "classes": []})
    for name in ("student", "a"):
        path = folder / "micro" / "detectors" / name / "model.pth"
        path.parent.mkdir(parents=True)
        path.write_text(name)
    return folder


@pytest.mark.parametrize("gpus", [(1, 0), (0, 1)])
def test_the_commands_lease_what_the_experiment_says(
    machine, write_experiment, start, results: Path, gpus: tuple[int, int]
) -> None:
    machine(UUIDS[:2])
    experiment = write_experiment(
        ("resources.train.gpus", gpus[0]), ("resources.infer.gpus", gpus[1])
    )
    commands = [f"{command} --results {results}" for command in COMMANDS.values()]
    process = start(RUN_ALL, experiment, *commands)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    training, inference = (",".join(UUIDS[:count]) or "none" for count in gpus)
    assert output.split() == [training, training, inference, inference]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_without_its_gpus_is_one_line(
    machine, monkeypatch, write_experiment, start, results: Path, command: str
) -> None:
    machine()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    kind = "train" if command in ("train", "stage") else "infer"
    experiment = write_experiment((f"resources.{kind}.gpus", 1))
    code = "import sys; from mtpd.cli import main; main()"
    process = start(code, *COMMANDS[command].split(), experiment, "--results", results)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert errors.startswith("error: CUDA_VISIBLE_DEVICES=: the job needs 1 GPU and may use 0")
