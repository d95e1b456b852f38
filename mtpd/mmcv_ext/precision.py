"""Half precision: compute in float32, give back what the caller holds."""

from torch import Tensor, bfloat16, float16


def at_least_float32(tensor: Tensor) -> Tensor:
    """float16 and bfloat16 as float32, for which every kernel exists; other types unchanged."""
    return tensor.float() if tensor.dtype in (float16, bfloat16) else tensor
