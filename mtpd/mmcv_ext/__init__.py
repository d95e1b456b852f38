"""MMDetection without a compiler: the module ``mmcv._ext``, made of torchvision and torch.

The wheel ``mmcv-lite`` holds the Python side of every op (``mmcv.ops``) and lacks the compiled
module that those ops call. ``import mtpd`` puts a finder behind Python's own ones that answers for
that one name. A compiled mmcv is found first, and ours then never loads.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_NAME = "mmcv._ext"
_SOURCE = Path(__file__).with_name("_ext.py")


class Finder:
    """Meta-path finder of ``mmcv._ext`` and nothing else. It imports no torch until asked."""

    @staticmethod
    def find_spec(
        fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of our module for the name ``mmcv._ext``, None for every other name."""
        if fullname != _NAME:
            return None
        return importlib.util.spec_from_file_location(fullname, _SOURCE)


def install() -> None:
    """Append the finder to ``sys.meta_path``; a second call changes nothing."""
    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)
