"""Focal loss (Lin et al., ICCV 2017) on sigmoid and on softmax outputs, and its gradients.

Shapes: logits or softmax (N, C); target (N,) int64 class indices, where any index outside 0..C-1
stands for the background; weight (C,) factors by target class, or empty for none. The reductions
are mmcv's own affair: all results here are per element or per row.

The gradients are the closed forms: automatic differentiation of ``(1 - p) ** gamma`` gives NaN
where p has saturated at 1 and gamma is below 1.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, one_hot

from mtpd.mmcv_ext.precision import at_least_float32


def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fill ``output`` (N, C) with ``-a * (1 - q)**gamma * log(q)``.

    q is the probability given to the truth, and a is ``alpha`` for the target class and
    ``1 - alpha`` for the others.
    """
    sign, factor = _sigmoid_terms(logits, target, weight, alpha)
    evidence = sign * at_least_float32(logits)
    output.copy_(-factor * torch.sigmoid(-evidence) ** gamma * logsigmoid(evidence))


def sigmoid_focal_loss_backward(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    *,
    gamma: float,
    alpha: float,
) -> None:
    """Fill ``grad_input`` (N, C) with the derivative of each loss by its logit."""
    sign, factor = _sigmoid_terms(logits, target, weight, alpha)
    evidence = sign * at_least_float32(logits)
    miss = torch.sigmoid(-evidence)
    slope = gamma * torch.sigmoid(evidence) * logsigmoid(evidence) - miss
    grad_input.copy_(sign * factor * miss**gamma * slope)


def softmax_focal_loss_forward(
    softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Fill ``output`` (N,) with ``-alpha * (1 - q)**gamma * log(q)``, 0 for the background.

    q is the softmax output of the target class.
    """
    q, factor = _softmax_terms(softmax, target, weight, alpha)
    output.copy_(-factor * (1 - q) ** gamma * _log(q))


def softmax_focal_loss_backward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    _row_gradients: Tensor,
    grad_input: Tensor,
    *,
    gamma: float,
    alpha: float,
) -> None:
    """Fill ``grad_input`` (N, C) with the derivative of each row's loss by its logits."""
    softmax = at_least_float32(softmax)
    q, factor = _softmax_terms(softmax, target, weight, alpha)
    tiny = torch.finfo(q.dtype).tiny
    miss = 1 - q
    by_log_q = gamma * miss.clamp(min=tiny) ** (gamma - 1) * q * _log(q) - miss**gamma
    log_q_by_logits = one_hot(_class_or_zero(target, softmax), softmax.shape[1]) - softmax
    grad_input.copy_((factor * by_log_q)[:, None] * log_q_by_logits)


def _is_class(target: Tensor, scores: Tensor) -> Tensor:
    """(N,) whether the target is one of the C classes."""
    return (target >= 0) & (target < scores.shape[1])


def _class_or_zero(target: Tensor, scores: Tensor) -> Tensor:
    """(N,) the target where it is a class, 0 where it is the background: safe to index with."""
    return target.where(_is_class(target, scores), 0)


def _weight_of_target(target: Tensor, weight: Tensor, scores: Tensor) -> Tensor:
    """(N,) the factor of each row: that of its class, 1 for the background."""
    if weight.numel() == 0:
        return at_least_float32(scores).new_ones(len(scores))
    of_class = at_least_float32(weight)[_class_or_zero(target, scores)]
    return of_class.where(_is_class(target, scores), 1.0)


def _sigmoid_terms(
    logits: Tensor, target: Tensor, weight: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """(N, C) +1 for the target class and -1 for the others, and (N, C) the factors a * weight."""
    positive = target[:, None] == torch.arange(logits.shape[1], device=target.device)
    factor = _weight_of_target(target, weight, logits)[:, None]
    ones = torch.ones_like(factor)
    return ones.where(positive, -1.0), (factor * alpha).where(positive, factor * (1 - alpha))


def _softmax_terms(
    softmax: Tensor, target: Tensor, weight: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """(N,) the softmax output of the target, and (N,) alpha * weight, 0 for the background."""
    index = _class_or_zero(target, softmax)
    q = at_least_float32(softmax).gather(1, index[:, None])[:, 0]
    factor = alpha * _weight_of_target(target, weight, softmax)
    return q, factor.where(_is_class(target, softmax), 0.0)


def _log(probability: Tensor) -> Tensor:
    return probability.clamp(min=torch.finfo(probability.dtype).tiny).log()
