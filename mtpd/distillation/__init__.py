"""Distillation: a student and a frozen teacher as one MMEngine model, and the losses between them.

Importing this package registers its classes with MMEngine; configs of stages name it in
``custom_imports``.
"""

from mtpd.distillation.distiller import Distiller
from mtpd.distillation.optimiser import StudentOptimWrapperConstructor

__all__ = ["Distiller", "StudentOptimWrapperConstructor"]
