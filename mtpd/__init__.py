"""Multi-teacher progressive distillation of object detectors."""

__version__ = "0.1.0"
