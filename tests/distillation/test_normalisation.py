"""The teacher sees what its own preprocessor would have made of the raw images."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from detector_models import batch
from mmdet.models.data_preprocessors import DetDataPreprocessor

from mtpd.distillation.normalisation import Renormalise

RGB = {"mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4], "bgr_to_rgb": True}
CAFFE = {"mean": [102.9, 115.9, 122.7], "std": [1.0, 1.0, 1.0], "bgr_to_rgb": False}


def preprocessed(settings: dict) -> tuple[DetDataPreprocessor, dict]:
    preprocessor = DetDataPreprocessor(**settings, pad_size_divisor=32)
    data = batch(images=2, size=40)  # padded to 64
    return preprocessor, preprocessor(data, False)


def test_equals_the_teacher_s_own_preprocessing_padding_included() -> None:
    for one, other in [(RGB, CAFFE), (CAFFE, RGB), (RGB, {**RGB, "bgr_to_rgb": False})]:
        student, data = preprocessed(one)
        teacher, expected = preprocessed(other)
        renormalise = Renormalise(student, teacher)
        assert not renormalise.identity
        result = renormalise(data["inputs"], data["data_samples"])
        torch.testing.assert_close(result, expected["inputs"], atol=1e-3, rtol=1e-5)


def test_the_same_normalisation_passes_the_batch_as_it_is() -> None:
    student, data = preprocessed(RGB)
    renormalise = Renormalise(student, DetDataPreprocessor(**RGB))
    assert renormalise(data["inputs"], data["data_samples"]) is data["inputs"]


def test_padding_is_the_teachers_own() -> None:
    """Also where nothing else differs."""
    student = DetDataPreprocessor(mean=[1, 2, 3], std=[1, 1, 1], pad_value=0)
    teacher = DetDataPreprocessor(mean=[1, 2, 3], std=[1, 1, 1], pad_value=114)
    change = Renormalise(student, teacher)
    images = torch.rand(1, 3, 4, 6)
    found = change(images, [SimpleNamespace(img_shape=(3, 5))])
    assert torch.equal(found[:, :, :3, :5], images[:, :, :3, :5])
    assert (found[:, :, 3:] == 114).all()
    assert (found[..., 5:] == 114).all()
    assert Renormalise(teacher, teacher)(images, []) is images
