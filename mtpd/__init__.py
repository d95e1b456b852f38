"""Multi-teacher progressive distillation of object detectors."""

from mtpd import mmcv_ext

__version__ = "0.1.0"

mmcv_ext.install()
