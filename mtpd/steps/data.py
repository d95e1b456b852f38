"""The data step: generate, convert or check the data set, and describe it for every later step."""

from __future__ import annotations

from pathlib import Path

from mtpd.data.coco import CocoSummary, check_coco
from mtpd.data.dataset import Dataset, Split
from mtpd.data.shapes import generate_shapes
from mtpd.data.voc import convert_voc
from mtpd.errors import UserError
from mtpd.experiment.settings import CocoData, Experiment, ShapesData, VocData
from mtpd.layout import Layout

SPLITS = ("train", "val", "test")
