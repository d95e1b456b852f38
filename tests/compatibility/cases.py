"""Which pairs of shipped detectors and mechanisms the compatibility table tries."""

from __future__ import annotations

from dataclasses import dataclass

MECHANISMS = ("feature_matching", "cwd", "pkd", "mgd", "fgd", "pgd", "ld", "bckd")

# Every student with a teacher of its own family, as far as MMDetection ships a larger one.
STUDENTS = {
    "RetinaNet": (
        "retinanet/retinanet_r50_fpn_1x_coco.py",
        "retinanet/retinanet_r101_fpn_1x_coco.py",
    ),
    "RepPoints": (
        "reppoints/reppoints-moment_r50_fpn-gn_head-gn_2x_coco.py",
        "reppoints/reppoints-moment_r101_fpn-gn_head-gn_2x_coco.py",
    ),
    "FCOS": (
        "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py",
        "fcos/fcos_r101-caffe_fpn_gn-head_ms-640-800-2x_coco.py",
    ),
    "ATSS": ("atss/atss_r50_fpn_1x_coco.py", "atss/atss_r101_fpn_1x_coco.py"),
    "GFL": ("gfl/gfl_r50_fpn_1x_coco.py", "gfl/gfl_r101_fpn_ms-2x_coco.py"),
    "DDOD": ("ddod/ddod_r50_fpn_1x_coco.py", "ddod/ddod_r50_fpn_1x_coco.py"),
    "AutoAssign": (
        "autoassign/autoassign_r50-caffe_fpn_1x_coco.py",
        "autoassign/autoassign_r50-caffe_fpn_1x_coco.py",
    ),
    "YOLOX": ("yolox/yolox_s_8xb8-300e_coco.py", "yolox/yolox_l_8xb8-300e_coco.py"),
    "RTMDet": ("rtmdet/rtmdet_s_8xb32-300e_coco.py", "rtmdet/rtmdet_l_8xb32-300e_coco.py"),
    "DINO": ("dino/dino-4scale_r50_8xb2-12e_coco.py", "dino/dino-4scale_r50_8xb2-12e_coco.py"),
    "Faster R-CNN": (
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        "faster_rcnn/faster-rcnn_r101_fpn_1x_coco.py",
    ),
    "Mask R-CNN": (
        "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
        "mask_rcnn/mask-rcnn_r101_fpn_1x_coco.py",
    ),
}

# Whose heads, and whose necks, a mechanism can work with; all others work with all.
ABLE = {
    "pkd": set(STUDENTS) - {"YOLOX", "RTMDet"},  # larger ones have wider necks
    "pgd": {"FCOS", "ATSS", "GFL", "DDOD", "AutoAssign"},
    "ld": {"GFL"},
    "bckd": {"RetinaNet", "FCOS", "ATSS", "GFL"},
}

# Students that every teacher teaches: one of one stage, one of two.
TAUGHT_BY_ALL = ("RetinaNet", "Mask R-CNN")

TEACHERS = {
    "RetinaNet R101": "retinanet/retinanet_r101_fpn_1x_coco.py",
    "RetinaNet X101-64x4d": "retinanet/retinanet_x101-64x4d_fpn_1x_coco.py",
    "RetinaNet Swin-T": "swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py",
    "RepPoints R101": "reppoints/reppoints-moment_r101_fpn-gn_head-gn_2x_coco.py",
    "RepPoints X101-DCN": "reppoints/reppoints-moment_x101-dconv-c3-c5_fpn-gn_head-gn_2x_coco.py",
    "FCOS X101-64x4d": "fcos/fcos_x101-64x4d_fpn_gn-head_ms-640-800-2x_coco.py",
    "ATSS R101": "atss/atss_r101_fpn_1x_coco.py",
    "GFL X101-32x4d-DCN": "gfl/gfl_x101-32x4d-dconv-c4-c5_fpn_ms-2x_coco.py",
    "DDOD R50": "ddod/ddod_r50_fpn_1x_coco.py",
    "AutoAssign R50": "autoassign/autoassign_r50-caffe_fpn_1x_coco.py",
    "Faster R-CNN X101-32x4d-DCN": "dcn/faster-rcnn_x101-32x4d-dconv-c3-c5_fpn_1x_coco.py",
    "Mask R-CNN R101": "mask_rcnn/mask-rcnn_r101_fpn_1x_coco.py",
    "Mask R-CNN Swin-T": "swin/mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco.py",
    "Mask R-CNN Swin-S": "swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py",
    "Cascade R-CNN R101": "cascade_rcnn/cascade-rcnn_r101_fpn_1x_coco.py",
    "Cascade Mask R-CNN R50-DCN": "dcn/cascade-mask-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py",
    "Cascade Mask R-CNN X101-32x4d-DCN": (
        "dcn/cascade-mask-rcnn_x101-32x4d-dconv-c3-c5_fpn_1x_coco.py"
    ),
    "HTC R50": "htc/htc_r50_fpn_1x_coco.py",
    "HTC X101-64x4d-DCN": ("htc/htc_x101-64x4d-dconv-c3-c5_fpn_ms-400-1400-16xb1-20e_coco.py"),
    "DetectoRS Cascade R-CNN R50": "detectors/detectors_cascade-rcnn_r50_1x_coco.py",
    "DetectoRS HTC R101": "detectors/detectors_htc-r101_20e_coco.py",
}


@dataclass(frozen=True)
class Case:
    """Two training steps of one student from one teacher.

    Attributes:
        student: Name in :data:`STUDENTS`.
        teacher: Name in :data:`TEACHERS`; none: the student's own family's.
        mechanism: Type of the loss.
    """

    student: str
    mechanism: str
    teacher: str | None = None

    @property
    def configs(self) -> tuple[str, str]:
        """Configs of student and teacher below MMDetection's."""
        student, own = STUDENTS[self.student]
        return student, own if self.teacher is None else TEACHERS[self.teacher]

    @property
    def size(self) -> int:
        """Of the images in pixels: DINO looks for its 900 queries among the maps' positions."""
        return 256 if self.student == "DINO" else 192

    @property
    def works(self) -> bool:
        """Whether the pair can work; if not, it says so before any training."""
        return self.student in ABLE.get(self.mechanism, STUDENTS)

    @property
    def name(self) -> str:
        """File name and test id."""
        parts = (self.student, self.mechanism, self.teacher or "own family")
        return "--".join(parts).replace(" ", "-")


MECHANISM_CASES = [Case(student, kind) for student in STUDENTS for kind in MECHANISMS]
TEACHER_CASES = [
    Case(student, "feature_matching", teacher) for teacher in TEACHERS for student in TAUGHT_BY_ALL
]
