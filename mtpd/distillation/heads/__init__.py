"""Adapters of dense heads, by the head's class. A further head is one small file and one line."""

from __future__ import annotations

from typing import Any

from mtpd.distillation.heads.anchors import AnchorAdapter, DDODAdapter
from mtpd.distillation.heads.base import DenseHeadAdapter
from mtpd.distillation.heads.fcos import AutoAssignAdapter, FCOSAdapter
from mtpd.distillation.heads.gfl import GFLAdapter

__all__ = ["ADAPTERS", "DenseHeadAdapter", "adapter_of"]

ADAPTERS: dict[str, type[DenseHeadAdapter]] = {
    "FCOSHead": FCOSAdapter,
    "AutoAssignHead": AutoAssignAdapter,
    "ATSSHead": AnchorAdapter,
    "DDODHead": DDODAdapter,
    "GFLHead": GFLAdapter,
    "RetinaHead": AnchorAdapter,
}
"""By exact class: a subclass may decode its boxes in another way."""


def adapter_of(detector: Any) -> DenseHeadAdapter | None:
    """Adapter of the detector's dense head; None if there is none for its class."""
    head = getattr(detector, "bbox_head", None)
    adapter = ADAPTERS.get(type(head).__name__)
    return None if adapter is None else adapter(head)
