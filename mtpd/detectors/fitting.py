"""Whether weights fit a model: names, shapes, and the number of classes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from mtpd.errors import UserError

WITHOUT_CLASSES = ("backbone.", "neck.", "rpn_head.")
"""Parts of a detector in which no shape follows from the number of classes."""


@dataclass(frozen=True)
class Misfit:
    """How a state dictionary differs from a model.

    Attributes:
        missing: Names that the model has alone.
        extra: Names that the state dictionary has alone.
        unlike: Shape in the state dictionary and in the model, where they differ.
    """

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    unlike: dict[str, tuple[torch.Size, torch.Size]] = field(default_factory=dict)

    def numbers_of_classes(self, own: int) -> set[int]:
        """The numbers of classes that explain all that differs; none: there is more to it.

        A tensor's first dimension is a multiple of the number of classes, or of one more for the
        background. One number of classes explains the same shapes in one way or in both.

        Args:
            own: The model's number of classes.
        """
        shapes = self.unlike.items()
        if self.missing or self.extra or not all(is_of_classes(key, *two) for key, two in shapes):
            return set()
        numbers = [
            {
                given[0] * unit // there[0] - (unit - own)
                for unit in (own, own + 1)
                if there[0] % unit == 0 and given[0] * unit % there[0] == 0
            }
            for given, there in self.unlike.values()
        ]
        return {number for number in set.intersection(*numbers) if number > 0} if numbers else set()


def copy_into(model: nn.Module, state: dict[str, Tensor]) -> Misfit:
    """Copy what fits into ``model``, each module by its own way of reading older versions."""
    misfit = Misfit()
    metadata = getattr(state, "_metadata", {})

    def copy(module: nn.Module, own: dict[str, Tensor], prefix: str) -> None:
        version = metadata.get(prefix[:-1], {})
        # Every module may rename entries of `own`, and notes what is left over.
        module._load_from_state_dict(own, prefix, version, True, misfit.missing, misfit.extra, [])
        tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        for name, tensor in tensors:
            given = own.get(prefix + name)
            if given is not None and given.shape != tensor.shape:
                misfit.unlike[prefix + name] = (given.shape, tensor.shape)
        for name, child in module._modules.items():
            if child is not None:
                start = f"{prefix}{name}."
                copy(child, {k: v for k, v in own.items() if k.startswith(start)}, start)

    copy(model, dict(state), "")
    # Batch normalisation counts its batches only since PyTorch 0.4.1, and no detector needs it.
    missing = [key for key in misfit.missing if not key.endswith("num_batches_tracked")]
    return replace(misfit, missing=missing)


def refuse(path: Path, misfit: Misfit, classes: int | None = None) -> None:
    """Say how the weights in ``path`` do not fit a model for so many ``classes``.

    Raises:
        UserError: They do not.
    """
    if classes is not None and (numbers := misfit.numbers_of_classes(classes)):
        raise _of_other_classes(path, misfit, numbers, classes)
    unlike = [
        f"{key} is {tuple(given)}, not {tuple(own)}" for key, (given, own) in misfit.unlike.items()
    ]
    problems = [
        f"{len(items)} {what} (first: {min(items)})"
        for items, what in (
            (unlike, "of other shape"),
            (misfit.missing, "missing"),
            (misfit.extra, "too many"),
        )
        if items
    ]
    if problems:
        raise UserError(
            path,
            f"the weights do not fit the detector's config: {', '.join(problems)}",
            "give the weights that belong to this config, trained for this data set's classes",
        )


def _of_other_classes(path: Path, misfit: Misfit, numbers: set[int], classes: int) -> UserError:
    """The error of weights that would fit a data set of another number of classes."""
    key, (given, own) = min(misfit.unlike.items())
    return UserError(
        path,
        f"is for {' or '.join(map(str, sorted(numbers)))} classes, not {classes} "
        f"({len(misfit.unlike)} tensors; first: {key} is {tuple(given)}, not {tuple(own)})",
        "give weights for the data set's classes, or train on from these: start_from in place of "
        "weights leaves such tensors out",
    )


def classes_of(model: nn.Module) -> int | None:
    """How many classes the detector's heads predict; None: no head says."""
    heads = ((k, getattr(m, "num_classes", None)) for k, m in model.named_modules())
    return next((n for k, n in heads if isinstance(n, int) and not k.startswith("rpn")), None)


def is_of_classes(key: str, given: torch.Size, own: torch.Size) -> bool:
    """Whether a tensor's shape follows from the number of classes, by its name and both shapes."""
    return not key.startswith(WITHOUT_CLASSES) and len(given) > 0 and given[1:] == own[1:]
