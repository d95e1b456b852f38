# The student: ResNet-18 of a quarter of the usual width.
_base_ = ["./gfl_small.py"]
