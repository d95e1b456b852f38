"""Stand-ins for what others publish: checkpoints of the right architecture with random weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import get_torchvision_models
from torch import nn

from mtpd.detectors.config import without_pretrained
from mtpd.detectors.reading import read_config
from mtpd.files import whole_file

HOST = "https://download.openmmlab.com/"
"""Where MMDetection's metafiles say that weights lie."""


def publish(config: str, address: str, folder: Path) -> Path:
    """Write weights for the detector ``config`` below ``folder``, where ``address`` says.

    The file is as MMDetection published it years ago: with its optimiser's state and old metadata.
    """
    path = folder / unquote(urlsplit(address).path).lstrip("/")
    if not path.is_file():
        register_all_modules()
        model = _random(read_config(config).model)
        old = {"CLASSES": _coco_classes(), "epoch": 12, "mmdet_version": "2.3.0"}
        _save(path, {"meta": old, "state_dict": model.state_dict(), "optimizer": {"state": {}}})
    return path


def fill_torch_home(config: str, folder: Path) -> None:
    """Put the backbone that ``config`` starts from where torch keeps what it has fetched."""
    register_all_modules()
    model = read_config(config).model
    source = (model.backbone.get("init_cfg") or {}).get("checkpoint")
    if source is None:
        return
    address = get_torchvision_models().get(source.removeprefix("torchvision://"), source)
    path = folder / "hub" / "checkpoints" / urlsplit(address).path.rpartition("/")[2]
    if not path.is_file():
        state = _random(model).backbone.state_dict()
        # Swin's authors publish their weights below this key.
        _save(path, {"model": state} if "Swin" in model.backbone.type else state)


def _random(config: Any) -> nn.Module:
    """A detector with random weights, and batch norms to which an image is nothing unusual.

    Without the latter, activations of a deep network in eval mode grow beyond all bounds.
    """
    MMLogger.get_instance("proof", log_level="WARNING")  # a line for every tensor otherwise
    torch.manual_seed(0)
    model = MODELS.build(without_pretrained(config))
    model.init_weights()
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        model.extract_feat(torch.randn(2, 3, 192, 320))
    return model


def _coco_classes() -> tuple[str, ...]:
    from mmdet.datasets import CocoDataset

    classes: tuple[str, ...] = CocoDataset.METAINFO["classes"]
    return classes


def _save(path: Path, checkpoint: Any) -> None:
    with whole_file(path) as temporary:
        torch.save(checkpoint, temporary)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Say nothing: Snakemake's log is on the same terminal."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on this machine while the body runs; gives the address, with a slash."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
