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
from mmdet.datasets import CocoDataset
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.logging import MMLogger
from torch import nn

from mtpd.detectors.pretrained import without_pretrained
from mtpd.detectors.reading import read_config
from mtpd.files import whole_file

MIRRORS = ("https://", "http://")
"""Every address is that of a file which the local server has in a folder named after the host."""


def publish(config: str, address: str, folder: Path) -> Path:
    """Write weights for the detector ``config`` below ``folder``, where ``address`` says.

    The file is as MMDetection published it years ago: with its optimiser's state and old metadata.
    """
    path = _place(address, folder)
    if not path.is_file():
        model = _random(read_config(config).model)
        old = {"CLASSES": CocoDataset.METAINFO["classes"], "epoch": 12, "mmdet_version": "2.3.0"}
        _save(path, {"meta": old, "state_dict": model.state_dict(), "optimizer": {"state": {}}})
    return path


def publish_backbone(config: str, folder: Path) -> str | None:
    """Write what the backbone of ``config`` starts from below ``folder``.

    Returns:
        Its address if that is not the one of the config: torchvision's files have their hash in the
        name, which random numbers have not.
    """
    model = read_config(config).model
    checkpoint = (model.backbone.get("init_cfg") or {}).get("checkpoint", "")
    name = checkpoint.removeprefix("torchvision://")
    address = checkpoint if name == checkpoint else f"https://download.pytorch.org/{name}.pth"
    if address.startswith(MIRRORS) and not (path := _place(address, folder)).is_file():
        state = _random(model).backbone.state_dict()
        # Swin's authors publish their weights below this key.
        _save(path, {"model": state} if "Swin" in model.backbone.type else state)
    return address if address != checkpoint else None


def _place(address: str, folder: Path) -> Path:
    """Where below ``folder`` the file of an address lies."""
    parts = urlsplit(address)
    return folder / parts.netloc / unquote(parts.path).lstrip("/")


def _random(config: Any) -> nn.Module:
    """A detector with random weights, and batch norms to which an image is nothing unusual.

    Without the latter, activations of a deep network in eval mode grow beyond all bounds.
    """
    register_all_modules()
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
