"""Where the first stage's student starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

INHERITED = ("neck.", "rpn_head.", "bbox_head.", "mask_head.", "roi_head.")


@dataclass(frozen=True)
class Inheritance:
    """What a student took over from its teacher.

    Attributes:
        state: Tensors to load into the student.
        copied: Names of the student's tensors that came from the teacher.
        left: Names of the student's other neck and head tensors, with the reason.
    """

    state: dict[str, Tensor]
    copied: tuple[str, ...]
    left: dict[str, str]


def inherit(
    student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], same_levels: bool = True
) -> Inheritance:
    """Neck and head modules of the teacher that fit the student, each whole or not at all.

    A cascade teacher gives its first stage's heads. A box head that is class-agnostic in the
    teacher, (4, …), and class-aware in the student, (4·classes, …), is repeated for every class.

    Args:
        student: The student's state dictionary.
        teacher: The teacher's.
        same_levels: Whether both necks have levels of the same strides. If not, modules of the same
            name belong to other levels, and the neck is left.
    """
    state: dict[str, Tensor] = {}
    left: dict[str, str] = {}
    for name, own in student.items():
        if not name.startswith(INHERITED):
            continue
        if name.startswith("neck.") and not same_levels:
            left[name] = "the necks have levels of other strides"
            continue
        source = teacher.get(name, teacher.get(_in_first_stage(name)))
        if source is None:
            left[name] = "the teacher has no such tensor"
        elif source.shape == own.shape:
            state[name] = source
        elif _is_agnostic(name, source, own):
            state[name] = source.repeat(len(own) // 4, *[1] * (source.ndim - 1))
        else:
            left[name] = f"shape {tuple(own.shape)}, the teacher's is {tuple(source.shape)}"
    torn = {name.rpartition(".")[0]: name for name in left}
    for name in [name for name in state if name.rpartition(".")[0] in torn]:
        del state[name]
        left[name] = f"nor is {torn[name.rpartition('.')[0]]} of the same module"
    return Inheritance(state, tuple(state), left)


def _in_first_stage(name: str) -> str:
    """``roi_head.bbox_head.x`` as a cascade names it: ``roi_head.bbox_head.0.x``."""
    parts = name.split(".")
    return ".".join([*parts[:2], "0", *parts[2:]])


def _is_agnostic(name: str, source: Tensor, own: Tensor) -> bool:
    """Whether ``source`` gives one box for all classes, where ``own`` gives one for each."""
    alike = source.shape[1:] == own.shape[1:]
    return "fc_reg" in name and alike and len(source) == 4 and len(own) % 4 == 0
