"""Multi-teacher progressive distillation of object detectors.

The names of :mod:`mtpd.api` are here too; they are imported when they are first used.
"""

from importlib import import_module

from mtpd import mmcv_ext

__version__ = "0.1.0"

__all__ = ["Experiment", "Model", "Order", "UserError", "costs", "explain", "load", "order", "run"]

mmcv_ext.install()


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'mtpd' has no attribute {name!r}")
    return getattr(import_module("mtpd.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
