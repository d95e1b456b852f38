"""Published weights that parts of a detector start from, as MMEngine's configs name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mtpd.detectors.own_config import CHECKPOINTS
from mtpd.detectors.sources import is_remote
from mtpd.errors import UserError
from mtpd.settings.runtime import Zoo, is_url
from mtpd.zoo.sources import Remote, sha256_of_name


def pretrained_files(model: Any) -> dict[str, Remote]:
    """The addresses in a model config, and the file that each stands for.

    Raises:
        UserError: MMEngine knows no model of that name.
    """
    found: dict[str, Remote] = {}

    def note(address: str) -> str:
        found[address] = remote_of(address)
        return address

    _replace(model, note)
    return found


def use_cached(model: Any, zoo: Zoo) -> None:
    """Put the file of the cache in place of every address in a model config whose file is there.

    A training then needs no network. Other addresses are left to MMEngine, which fetches them.
    """

    def cached(address: str) -> str:
        path = remote_of(address).path(zoo)
        return str(path) if path.is_file() else address

    _replace(model, cached)


def remote_of(address: str) -> Remote:
    """The file that an address of MMEngine's stands for.

    Raises:
        UserError: MMEngine knows no model of that name.
    """
    if is_url(address):
        return Remote(address, sha256_of_name(address))
    # It brings torch along, which a config without such an address need not wait for.
    from mmengine.runner.checkpoint import (
        get_deprecated_model_names,
        get_external_models,
        get_mmcls_models,
        get_torchvision_models,
    )

    scheme, _, name = address.partition("://")
    if scheme in ("open-mmlab", "openmmlab"):
        models = get_external_models()
        name = get_deprecated_model_names().get(name, name)
    else:
        models = get_mmcls_models() if scheme == "mmcls" else get_torchvision_models()
    if name not in models or not is_url(models[name]):
        raise UserError(
            address, "MMEngine does not know these weights", "correct the config or the options"
        )
    return Remote(models[name], sha256_of_name(models[name]))


def _replace(part: Any, new: Callable[[str], str]) -> None:
    """Put what ``new`` gives in place of every address, in nested dictionaries and lists."""
    if isinstance(part, list | tuple):
        for item in part:
            _replace(item, new)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key not in CHECKPOINTS or not is_remote(value):
            _replace(value, new)
            continue
        part[key] = new(value)
        if value.startswith("mmcls://") and part[key] != value:
            # Such a file is a whole classifier; by its address MMEngine takes the backbone alone.
            part.setdefault("prefix", "backbone.")
            break
