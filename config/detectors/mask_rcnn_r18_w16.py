# The student: ResNet-18 of a quarter of the usual width.
_base_ = ["./mask_rcnn_small.py"]
