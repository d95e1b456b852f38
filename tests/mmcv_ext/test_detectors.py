"""A training step and an inference of narrow detectors that lean on the substituted ops."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmdet.utils import register_all_modules
from mmengine.config import Config

CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"
CLASSES = 3


def shipped(config, **changes):
    """The model of a config that MMDetection ships, narrow, with changes at dotted keys.

    A ResNet-50 keeps its bottleneck blocks: MMDetection has deformable ones in no smaller ResNet.
    """
    loaded = Config.fromfile(CONFIGS / config)
    loaded.merge_from_dict(
        {
            "model.backbone.base_channels": 8,
            "model.backbone.stem_channels": 8,
            "model.backbone.init_cfg": None,
            "model.backbone.norm_eval": False,
            "model.backbone.frozen_stages": -1,
            "model.neck.in_channels": [32, 64, 128, 256],
            "model.neck.out_channels": 16,
            **{f"model.{key}": value for key, value in changes.items()},
        }
    )
    return loaded.model


def retinanet():
    return shipped(
        "retinanet/retinanet_r18_fpn_1x_coco.py",
        **{
            "neck.in_channels": [8, 16, 32, 64],
            "bbox_head.num_classes": CLASSES,
            "bbox_head.in_channels": 16,
            "bbox_head.feat_channels": 16,
            "bbox_head.stacked_convs": 1,
            "test_cfg.score_thr": 0.0,
            "test_cfg.nms": {"type": "soft_nms", "iou_threshold": 0.5},
        },
    )


def mask_rcnn(config):
    return shipped(
        config,
        **{
            "rpn_head.in_channels": 16,
            "rpn_head.feat_channels": 16,
            "roi_head.bbox_roi_extractor.out_channels": 16,
            "roi_head.mask_roi_extractor.out_channels": 16,
            "roi_head.bbox_head.in_channels": 16,
            "roi_head.bbox_head.fc_out_channels": 32,
            "roi_head.bbox_head.num_classes": CLASSES,
            "roi_head.mask_head.num_convs": 1,
            "roi_head.mask_head.in_channels": 16,
            "roi_head.mask_head.conv_out_channels": 16,
            "roi_head.mask_head.num_classes": CLASSES,
            "test_cfg.rcnn.score_thr": 0.0,
        },
    )


def reppoints():
    return shipped(
        "reppoints/reppoints-moment_r50_fpn_1x_coco.py",
        **{
            "bbox_head.num_classes": CLASSES,
            "bbox_head.in_channels": 16,
            "bbox_head.feat_channels": 16,
            "bbox_head.point_feat_channels": 16,
            "bbox_head.stacked_convs": 1,
            "test_cfg.score_thr": 0.0,
        },
    )


@pytest.mark.parametrize(
    ("make", "args"),
    [
        pytest.param(retinanet, (), id="retinanet"),
        pytest.param(
            mask_rcnn, ("dcn/mask-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py",), id="mask-rcnn-dcn"
        ),
        pytest.param(
            mask_rcnn, ("dcnv2/mask-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py",), id="mask-rcnn-dcnv2"
        ),
        pytest.param(reppoints, (), id="reppoints"),
    ],
)
def test_a_training_step_and_an_inference(device, make, args):
    register_all_modules(init_default_scope=True)
    model = MODELS.build(make(*args)).to(device)
    batch = demo_mm_inputs(
        2,
        [[3, 96, 128], [3, 128, 96]],
        num_classes=CLASSES,
        with_mask=True,
        device=str(device),
    )

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    loss, log = model.parse_losses(
        model.forward(**model.data_preprocessor(batch, True), mode="loss")
    )
    loss.backward()
    optimizer.step()
    assert loss.isfinite(), log
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
    moved = [name for name, value in model.named_parameters() if not value.equal(before[name])]
    assert any("backbone" in name for name in moved)
    offsets = {name for name in before if "conv_offset" in name}
    assert offsets <= set(moved)

    model.eval()
    with torch.no_grad():
        results = model.forward(**model.data_preprocessor(batch, False), mode="predict")
    assert len(results) == 2
    for result in results:
        found = result.pred_instances
        assert len(found)
        assert found.scores.isfinite().all()
        assert found.bboxes.isfinite().all()
        if "mask_rcnn" in make.__name__:
            assert found.masks.shape == (len(found), *result.ori_shape)
