"""Two processes train a distiller under DistributedDataParallel, on the CPU."""

from __future__ import annotations

import socket
from pathlib import Path

import torch
import torch.multiprocessing as mp


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _worker(rank: int, port: int, folder: str) -> None:
    import os

    import mtpd.distillation  # noqa: F401  registers the distiller, and supplies mmcv._ext

    # isort: split
    from detector_models import batch, mask_rcnn, retinanet_of_width
    from mmdet.registry import MODELS
    from mmengine.model import MMDistributedDataParallel
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import init_default_scope

    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    init_default_scope("mmdet")
    torch.manual_seed(rank)  # unlike at first: data-parallel training has to make them equal
    model = MODELS.build(
        {
            "type": "Distiller",
            "student": mask_rcnn(),
            "teacher": retinanet_of_width(48),
            "losses": [{"type": "feature_matching"}, {"type": "cwd"}],
        }
    )
    parallel = MMDistributedDataParallel(model, find_unused_parameters=False)
    optimiser = {"type": "SGD", "lr": 0.001}
    wrapper = build_optim_wrapper(parallel, {"type": "OptimWrapper", "optimizer": optimiser})
    for step in range(2):
        parallel.train_step(batch(seed=2 * step + rank), wrapper)
    torch.save(model.state_dict(), Path(folder) / f"{rank}.pth")
    torch.distributed.destroy_process_group()


def test_two_processes_end_with_the_same_student(tmp_path: Path) -> None:
    mp.spawn(_worker, (_free_port(), str(tmp_path)), nprocs=2)
    one, other = (torch.load(tmp_path / f"{rank}.pth") for rank in range(2))
    learned = [key for key in one if not key.endswith(("running_mean", "running_var"))]
    assert learned
    assert all(torch.equal(one[key], other[key]) for key in learned)
