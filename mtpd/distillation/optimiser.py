"""Optimisers that look at the names of parameters, for a student that stands inside a distiller."""

from __future__ import annotations

from typing import Any

from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.model import is_model_wrapper
from torch import nn


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class StudentOptimWrapperConstructor:
    """The constructor that the student's config names, shown the student's own names.

    Layer-wise decay goes by names such as ``backbone.layers.0``, which in a distiller begin with
    ``student.``; unseen, every layer would get the rate of the last.

    Args:
        optim_wrapper_cfg: As for MMEngine's constructors.
        paramwise_cfg: The same; and ``of``, the name of the student's constructor.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        paramwise = dict(paramwise_cfg or {})
        self._inner = OPTIM_WRAPPER_CONSTRUCTORS.build(
            {
                "type": paramwise.pop("of"),
                "optim_wrapper_cfg": optim_wrapper_cfg,
                "paramwise_cfg": paramwise,
            }
        )

    def __call__(self, model: Any) -> Any:
        """The optimiser's wrapper for a distiller."""
        distiller = model.module if is_model_wrapper(model) else model
        return self._inner(_Shown(distiller))


class _Shown(nn.Module):
    """The parts of the student, and the adapters, under the names that they have alone."""

    def __init__(self, distiller: Any) -> None:
        super().__init__()
        for name, parameter in distiller.student.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, part in distiller.student.named_children():
            self.add_module(name, part)
        self.losses = distiller.losses
