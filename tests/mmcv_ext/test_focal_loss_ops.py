"""Focal losses against the formula of the paper, and their gradients."""

import math

import pytest
import torch
from mmcv.ops import SigmoidFocalLoss, SoftmaxFocalLoss, sigmoid_focal_loss, softmax_focal_loss

CLASSES = 4
BACKGROUND = CLASSES

gammas = pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
weights = pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.5, 3.0]])


def rows(device, weight, targets=(0, 1, 2, 3, 2, 1)):
    logits = torch.randn(len(targets), CLASSES, dtype=torch.float64, device=device) * 3
    weight = None if weight is None else torch.tensor(weight, dtype=logits.dtype, device=device)
    return logits, torch.tensor(targets, device=device), weight


def focal(probability, factor, gamma):
    return -factor * (1 - probability) ** gamma * math.log(probability)


def naive_sigmoid(logits, targets, gamma, alpha, weight):
    return [
        [
            (weight[target] if weight and target < CLASSES else 1)
            * focal(
                1 / (1 + math.exp(-x if c == target else x)),
                alpha if c == target else 1 - alpha,
                gamma,
            )
            for c, x in enumerate(row)
        ]
        for row, target in zip(logits, targets, strict=True)
    ]


def naive_softmax(logits, targets, gamma, alpha, weight):
    losses = []
    for row, target in zip(logits, targets, strict=True):
        if target == BACKGROUND:
            losses.append(0.0)
            continue
        probability = math.exp(row[target]) / sum(map(math.exp, row))
        losses.append((weight[target] if weight else 1) * focal(probability, alpha, gamma))
    return losses


@gammas
@weights
@pytest.mark.parametrize(
    ("op", "naive"), [(sigmoid_focal_loss, naive_sigmoid), (softmax_focal_loss, naive_softmax)]
)
def test_values_with_background_rows(device, op, naive, gamma, weight):
    logits, target, weight_tensor = rows(device, weight, (0, BACKGROUND, 2, 3, BACKGROUND, 1))
    losses = op(logits, target, gamma, 0.3, weight_tensor, "none")
    expected = naive(logits.tolist(), target.tolist(), gamma, 0.3, weight)
    torch.testing.assert_close(losses.cpu(), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("loss", [SigmoidFocalLoss, SoftmaxFocalLoss])
def test_reductions(device, loss):
    logits, target, _ = rows(device, None)
    each = loss(2.0, 0.25, reduction="none")(logits, target)
    torch.testing.assert_close(loss(2.0, 0.25, reduction="sum")(logits, target), each.sum())
    # The mean is over the rows, for the sigmoid loss too.
    mean = loss(2.0, 0.25, reduction="mean")(logits, target)
    torch.testing.assert_close(mean, each.sum() / len(target))


@gammas
@weights
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_sigmoid_gradients(device, gamma, weight, reduction):
    logits, target, weight = rows(device, weight, (0, BACKGROUND, 2, 3))
    assert torch.autograd.gradcheck(
        lambda x: sigmoid_focal_loss(x, target, gamma, 0.25, weight, reduction),
        logits.requires_grad_(),
    )


@gammas
@weights
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_softmax_gradients(device, gamma, weight, reduction):
    logits, target, weight = rows(device, weight, (0, BACKGROUND, 2, 3))
    assert torch.autograd.gradcheck(
        lambda x: softmax_focal_loss(x, target, gamma, 0.25, weight, reduction),
        logits.requires_grad_(),
    )


@gammas
@pytest.mark.parametrize("op", [sigmoid_focal_loss, softmax_focal_loss])
def test_saturated_logits_give_finite_numbers(device, op, gamma):
    logits = torch.tensor([[200.0, -200], [-200, 200]], device=device, requires_grad=True)
    for target in ([0, 1], [1, 0]):
        loss = op(logits, torch.tensor(target, device=device), gamma, 0.25, None, "sum")
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sigmoid_in_half_precision(device, dtype):
    logits, target, _ = rows(device, None)
    narrow = logits.to(dtype).requires_grad_()
    wide = narrow.detach().float().requires_grad_()
    losses = [sigmoid_focal_loss(x, target, 2.0, 0.25, None, "none") for x in (narrow, wide)]
    assert losses[0].dtype == dtype
    torch.testing.assert_close(losses[0], losses[1].to(dtype))
    gradients = [
        torch.autograd.grad(y.sum(), x)[0] for y, x in zip(losses, (narrow, wide), strict=True)
    ]
    torch.testing.assert_close(gradients[0], gradients[1].to(dtype))


def test_no_rows(device):
    logits = torch.zeros(0, CLASSES, device=device, requires_grad=True)
    target = torch.zeros(0, dtype=torch.int64, device=device)
    loss = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "sum")
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.shape == (0, CLASSES)
