# ResNet-34 of half the usual width.
_base_ = ["./gfl_r18_w32.py"]
model = {"backbone": {"depth": 34}}
