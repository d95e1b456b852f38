"""Weights that parts of a model start from, where its own config names some."""

from __future__ import annotations

from typing import Any

from mmengine.config import ConfigDict


def without_pretrained(model: ConfigDict) -> ConfigDict:
    """A copy of a model config in which no part fetches weights to start from."""
    return ConfigDict(
        {
            key: without_pretrained(value) if isinstance(value, dict) else value
            for key, value in model.items()
            if not _is_pretrained(key, value)
        }
    )


def _is_pretrained(key: str, value: Any) -> bool:
    """Whether a model config's item names weights, in MMEngine's way or the older one."""
    return key == "pretrained" or (
        key == "init_cfg" and isinstance(value, dict) and "checkpoint" in value
    )
