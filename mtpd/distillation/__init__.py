"""Distillation: a student and a frozen teacher as one MMEngine model, and the losses between them.

Importing this package registers :class:`Distiller` with MMEngine; configs of stages name it in
``custom_imports``.
"""

from mtpd.distillation.distiller import Distiller

__all__ = ["Distiller"]
