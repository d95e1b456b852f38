import numpy as np
import pytest
import torch

from mtpd.errors import UserError
from mtpd.selection.costs import (
    DEFAULT_RIDGE,
    LevelCost,
    adaptation_cost,
    common_strides,
    cost_intervals,
    cost_matrix,
    level_costs,
    mean_costs,
)

TINY = 1e-9


def sample(seed, channels, images=60, points=20):
    """Correlated features around means other than zero: (images, points, channels)."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(channels, channels))
    noise = generator.normal(size=(images, points, channels))
    return noise @ mixing + 10 * generator.normal(size=channels)


def related(source, channels, noise, seed=5):
    """A linear map of ``source`` to other channels with a bias and noise of its own."""
    generator = np.random.default_rng(seed)
    signal = source @ generator.normal(size=(source.shape[2], channels)) + 3
    return signal + noise * signal.std(axis=(0, 1)) * generator.normal(size=signal.shape)


def halves(values, fit_on=0):
    """Fit and held-out samples, (samples, channels) each, one image at a time."""
    fit = [row for image, rows in enumerate(values) if image % 2 == fit_on for row in rows]
    held_out = [row for image, rows in enumerate(values) if image % 2 != fit_on for row in rows]
    return np.array(fit, dtype=float), np.array(held_out, dtype=float)


def reference(source, target, ridge):
    """Error and variance of all samples, each with the map of the half that it is not in."""
    found = [one_direction(source, target, ridge, fit_on) for fit_on in (0, 1)]
    errors, variances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.mean(errors), np.mean(variances)


def one_direction(source, target, ridge, fit_on):
    """Errors and variances by least squares with the ridge as extra rows, without moments."""
    (x, x_held_out), (y, y_held_out) = halves(source, fit_on), halves(target, fit_on)
    x_mean, y_mean = x.mean(0), y.mean(0)
    penalty = ridge * np.mean([np.var(column) for column in x.T]) * len(x)
    rows = np.vstack([x - x_mean, np.sqrt(penalty) * np.eye(x.shape[1])])
    values = np.vstack([y - y_mean, np.zeros((x.shape[1], y.shape[1]))])
    weights = np.linalg.lstsq(rows, values, rcond=None)[0]
    errors = [
        np.sum((target_row - y_mean - (row - x_mean) @ weights) ** 2)
        for row, target_row in zip(x_held_out, y_held_out, strict=True)
    ]
    return errors, np.sum((y_held_out - y_mean) ** 2, axis=1)


@pytest.mark.parametrize("ridge", [1e-6, 1e-3, 0.5])
@pytest.mark.parametrize(("source_channels", "target_channels"), [(6, 6), (3, 9), (9, 3), (1, 2)])
def test_least_squares_in_a_loop_gives_the_same(source_channels, target_channels, ridge):
    source = sample(0, source_channels)
    target = related(source, target_channels, noise=0.5)
    cost = level_costs({"a": {8: source}, "b": {8: target}}, ridge=ridge)["a"]["b"][8]
    error, variance = reference(source, target, ridge)
    assert cost.error == pytest.approx(error, rel=TINY)
    assert cost.variances.mean() == pytest.approx(variance, rel=TINY)
    assert cost.normalised == pytest.approx(error / variance, rel=TINY)


def train_convolution(source, target, ridge):
    """Normalised cost by training a 1×1 convolution to convergence on each half of the images."""
    turns = [train_on_first(source, target, ridge), train_on_first(*turned(source, target), ridge)]
    return sum(error for error, _ in turns) / sum(variance for _, variance in turns)


def turned(*features):
    """The same with every pair of images changed over, so that the other half comes first."""
    return [f.reshape(-1, 2, *f.shape[1:])[:, ::-1].reshape(f.shape).copy() for f in features]


def train_on_first(source, target, ridge):
    """Error and variance on images at odd places after training on those at even places."""
    x, y = (torch.from_numpy(values).permute(0, 2, 1)[..., None] for values in (source, target))
    penalty = ridge * float(x[::2].var(dim=(0, 2), correction=0).mean())
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(x.shape[1], y.shape[1], 1, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(
        convolution.parameters(),
        max_iter=1000,
        tolerance_grad=1e-12,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def squared_error(at):
        return (y[at] - convolution(x[at])).square().sum(1).mean()

    def loss():
        optimizer.zero_grad()
        value = squared_error(slice(0, None, 2)) + penalty * convolution.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    mean = y[::2].mean((0, 2, 3), keepdim=True)
    variance = (y[1::2] - mean).square().sum(1).mean()
    with torch.no_grad():
        return float(squared_error(slice(1, None, 2))), float(variance)


@pytest.mark.parametrize(("source_channels", "target_channels"), [(4, 4), (3, 7), (8, 2)])
def test_a_trained_convolution_converges_to_the_closed_form(source_channels, target_channels):
    generator = np.random.default_rng(1)
    source = generator.normal(size=(40, 12, source_channels)) * generator.uniform(
        0.5, 2, source_channels
    )
    source += generator.normal(size=source_channels)
    target = related(source, target_channels, noise=0.7)
    trained = train_convolution(source, target, ridge=1e-2)
    assert 0.2 < trained < 0.8
    cost = adaptation_cost({8: source}, {8: target}, ridge=1e-2)
    assert cost == pytest.approx(trained, rel=1e-6)


def test_an_exact_linear_relation_costs_nothing():
    source = sample(0, 6)
    target = related(source, 6, noise=0)
    costs = cost_matrix({"a": {8: source}, "b": {8: target}}, ridge=1e-9)
    assert 0 <= costs["a"]["b"] < 1e-6
    assert 0 <= costs["b"]["a"] < 1e-6


def test_independent_noise_costs_one():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 500, 20, 5))
    assert adaptation_cost({8: a}, {8: b}) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_the_cost_is_the_share_of_variance_that_is_noise(noise):
    source = sample(0, 4, images=400)
    target = related(source, 5, noise)
    expected = noise**2 / (1 + noise**2)
    assert adaptation_cost({8: source}, {8: target}) == pytest.approx(expected, rel=0.03)


def test_a_wide_useless_detector_is_not_flattered():
    """The fit explains two thirds of the target by chance; held-out images tell the truth."""
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(40, 15, 200))
    target = generator.normal(size=(40, 15, 8))
    x, y = halves(wide)[0], halves(target)[0]
    x, y = x - x.mean(0), y - y.mean(0)
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert (residual**2).sum() / (y**2).sum() < 0.4
    narrow = related(target, 2, noise=0)
    costs = cost_matrix({"wide": {8: wide}, "narrow": {8: narrow}, "target": {8: target}})
    assert costs["wide"]["target"] > 1
    assert costs["narrow"]["target"] < 1


def test_scale_and_shift_do_not_matter():
    a, b = sample(0, 6), related(sample(0, 6), 4, noise=0.5)
    costs = cost_matrix({"a": {8: a}, "b": {8: b}})
    changed = cost_matrix({"a": {8: 1e-4 * a + 7}, "b": {8: 500 * b - 3}})
    for source, target in (("a", "b"), ("b", "a")):
        assert changed[source][target] == pytest.approx(costs[source][target], rel=1e-8)


def test_an_invertible_map_of_the_source_hardly_matters():
    a = sample(0, 6)
    b = related(a, 4, noise=0.5)
    mixed = a @ np.random.default_rng(9).normal(size=(6, 6))
    before = adaptation_cost({8: a}, {8: b}, ridge=1e-9)
    assert adaptation_cost({8: mixed}, {8: b}, ridge=1e-9) == pytest.approx(before, rel=1e-5)


def test_a_rotation_of_source_and_target_does_not_matter():
    a = sample(0, 6)
    b = related(a, 4, noise=0.5)
    generator = np.random.default_rng(9)
    turn_a, turn_b = (np.linalg.qr(generator.normal(size=(n, n)))[0] for n in (6, 4))
    before = adaptation_cost({8: a}, {8: b}, ridge=0.1)
    assert adaptation_cost({8: a @ turn_a}, {8: b @ turn_b}, ridge=0.1) == pytest.approx(before)


def test_a_poor_detector_costs_more_to_turn_into_a_rich_one():
    rich = sample(0, 12)
    poor = related(rich, 3, noise=0)
    costs = cost_matrix({"rich": {8: rich}, "poor": {8: poor}})
    assert costs["rich"]["poor"] < 1e-3
    assert costs["poor"]["rich"] > 0.3


def test_levels_pair_by_stride():
    a, b = sample(0, 4), sample(1, 4)
    near_a = related(a, 5, noise=0.1)
    features = {
        "one": {4: b, 8: a, 16: b},
        "two": {16: a, 8: near_a, 32: b},
    }
    costs = level_costs(features)
    assert list(costs["one"]["two"]) == [8, 16]
    alone = level_costs({"a": {1: a}, "b": {1: near_a}})["a"]["b"][1]
    assert np.array_equal(costs["one"]["two"][8].errors, alone.errors)
    assert costs["one"]["two"][8].normalised < 0.05 < 0.9 < costs["one"]["two"][16].normalised
    # The order in which the levels come decides nothing.
    upside_down = {name: dict(reversed(levels.items())) for name, levels in features.items()}
    assert cost_matrix(upside_down) == cost_matrix(features)


def test_all_pairs_average_the_strides_that_all_detectors_have():
    """A pair's further stride would make its cost another measure than the others'."""
    a, b = sample(0, 4), sample(1, 4)
    near_a = related(a, 5, noise=0.1)
    features = {
        "one": {8: a, 16: a, 32: b},
        "two": {8: near_a, 16: near_a, 32: a},
        "three": {4: a, 8: a, 16: a},
    }
    assert common_strides(features) == (8, 16)
    costs = cost_matrix(features)
    assert costs["one"]["two"] < 0.05
    without = {name: features[name] for name in ("one", "two")}
    assert common_strides(without) == (8, 16, 32)
    assert cost_matrix(without)["one"]["two"] > 0.3
    assert list(level_costs(features)["one"]["two"]) == [8, 16, 32]


def test_every_image_judges_once_by_the_other_half():
    """A disturbed image costs itself, and no other more than through the map."""
    a = sample(0, 4)
    b = related(a, 4, noise=0.3)
    before = level_costs({"a": {8: a}, "b": {8: b}})["a"]["b"][8].errors
    for image in (10, 11):
        disturbed = b.copy()
        disturbed[image] += 100
        after = level_costs({"a": {8: a}, "b": {8: disturbed}})["a"]["b"][8].errors
        assert after[image] > 1000 * before[image]
        own_half = [i for i in range(60) if i % 2 == image % 2 and i != image]
        assert after[own_half] == pytest.approx(before[own_half])
        assert not np.allclose(after[1 - image % 2 :: 2], before[1 - image % 2 :: 2])


def intervals(features, seed=0):
    pairs, strides = level_costs(features), common_strides(features)
    return cost_intervals(pairs, strides, seed)


def test_intervals_are_around_the_costs_and_follow_the_seed():
    a, b = sample(0, 6), sample(1, 6)
    features = {"a": {8: a, 16: b}, "b": {8: related(a, 4, 0.5), 16: related(b, 4, 2.0)}}
    found, costs = intervals(features), cost_matrix(features)
    for source, target in (("a", "b"), ("b", "a")):
        low, high = found[source][target]
        assert low < costs[source][target] < high
        assert high - low < 0.2
    assert intervals(features) == found
    assert intervals(features, seed=1) != found
    assert intervals(features, seed=1)["a"]["b"] == pytest.approx(found["a"]["b"], abs=0.01)


def test_an_interval_is_as_wide_as_costs_of_other_images_differ():
    """Of 40 draws of 60 images each, 95 % of the intervals should hold the cost of very many."""
    noise = 1.0

    def draw(seed):
        generator = np.random.default_rng(seed)
        # Images differ in how well the target follows from the source, as real ones do.
        source = generator.normal(size=(60, 20, 4))
        quality = generator.uniform(0, 2 * noise, size=(60, 1, 1))
        return {"a": {8: source}, "b": {8: source + quality * generator.normal(size=(60, 20, 4))}}

    truth = 4 / 3 * noise**2 / (1 + 4 / 3 * noise**2)  # E quality² is 4/3
    found = [intervals(draw(seed))["a"]["b"] for seed in range(40)]
    holding = sum(low <= truth <= high for low, high in found)
    assert holding >= 34
    costs = [cost_matrix(draw(seed))["a"]["b"] for seed in range(40)]
    width = np.mean([high - low for low, high in found])
    assert width == pytest.approx(4 * np.std(costs), rel=0.35)


def test_more_images_make_an_interval_narrower():
    widths = []
    for images in (40, 640):
        a = sample(0, 4, images=images)
        low, high = intervals({"a": {8: a}, "b": {8: related(a, 4, 1.0)}})["a"]["b"]
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_the_interval_of_a_constant_target_is_zero():
    found = intervals({"constant": {8: np.full((60, 20, 3), 0.1)}, "varied": {8: sample(0, 4)}})
    assert found["varied"]["constant"] == (0, 0)


def test_the_matrix_holds_the_means_over_levels():
    features = {name: {8: sample(i, 4), 16: sample(i + 9, 3)} for i, name in enumerate("abc")}
    levels = level_costs(features)
    for normalise in (True, False):
        matrix = cost_matrix(features, normalise=normalise)
        assert {source: set(row) for source, row in matrix.items()} == {
            "a": {"b", "c"},
            "b": {"a", "c"},
            "c": {"a", "b"},
        }
        for source, row in matrix.items():
            for target, cost in row.items():
                two = levels[source][target].values()
                figures = [level.normalised if normalise else level.error for level in two]
                assert cost == pytest.approx(np.mean(figures))
                means = mean_costs(levels, (8, 16), normalise=normalise)
                assert cost == means[source][target]
                assert cost == adaptation_cost(
                    features[source], features[target], normalise=normalise
                )


def test_the_unnormalised_cost_is_in_the_units_of_the_target():
    a, b = sample(0, 6), related(sample(0, 6), 4, noise=0.5)
    cost = adaptation_cost({8: a}, {8: b}, normalise=False)
    assert cost == pytest.approx(reference(a, b, DEFAULT_RIDGE)[0])
    assert adaptation_cost({8: a}, {8: 10 * b}, normalise=False) == pytest.approx(100 * cost)


def test_float32_features_are_computed_in_float64():
    a = sample(0, 6).astype(np.float32) + np.float32(1000)
    b = related(a, 4, noise=0.5).astype(np.float32)
    before = a.copy()
    cost = adaptation_cost({8: a}, {8: b})
    assert isinstance(cost, float)
    expected = adaptation_cost({8: a.astype(float)}, {8: b.astype(float)})
    assert cost == pytest.approx(expected, rel=1e-12)
    assert np.array_equal(a, before)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_features_have_a_finite_cost(value):
    constant = np.full((60, 20, 3), value)
    varied = sample(0, 4)
    costs = cost_matrix({"constant": {8: constant}, "varied": {8: varied}})
    assert costs["varied"]["constant"] == 0
    assert costs["constant"]["varied"] == pytest.approx(1)


def test_dead_and_repeated_channels_are_no_obstacle():
    a = sample(0, 4)
    b = related(a, 4, noise=0.5)
    padded = np.concatenate([a, np.zeros_like(a), a], axis=2)
    cost = adaptation_cost({8: a}, {8: b}, ridge=1e-8)
    assert adaptation_cost({8: padded}, {8: b}, ridge=1e-8) == pytest.approx(cost, rel=1e-5)


def test_fewer_samples_than_channels_are_no_obstacle():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 2, 3, 16))
    assert np.isfinite(adaptation_cost({8: a}, {8: b}))


def test_an_uneven_number_of_images():
    a = sample(0, 3, images=41)
    b = related(a, 4, noise=0.5)
    error, variance = reference(a, b, DEFAULT_RIDGE)
    assert adaptation_cost({8: a}, {8: b}) == pytest.approx(error / variance)


def test_detectors_that_share_no_level_are_named():
    a = sample(0, 3)
    message = (
        r"^features: no stride is common to all detectors \(one 4, 8; two 16, 32\); leave out .*$"
    )
    with pytest.raises(UserError, match=message):
        cost_matrix({"one": {8: a, 4: a}, "two": {32: a, 16: a}})


@pytest.mark.parametrize(("images", "points"), [(58, 20), (60, 10)])
def test_other_images_or_points_are_one_line(images, points):
    a = sample(0, 3)
    features = {"one": {8: a, 16: a}, "two": {8: a, 16: sample(0, 3, images, points)}}
    message = (
        rf"^features of two, stride 16: images×points are {images}×{points},"
        r" but 60×20 in features of one, stride 8; sample .*$"
    )
    with pytest.raises(UserError, match=message):
        cost_matrix(features)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_features_that_are_not_finite_are_one_line(wrong):
    a = sample(0, 3)
    b = a.copy()
    b[3, 4, 1] = wrong
    with pytest.raises(UserError, match=r"^features of two, stride 8: has values that are not"):
        cost_matrix({"one": {8: a}, "two": {8: b}})


@pytest.mark.parametrize("shape", [(60, 20), (1, 20, 3), (60, 0, 3), (60, 20, 0), (0, 20, 3)])
def test_other_shapes_are_one_line(shape):
    with pytest.raises(UserError, match=r"^features of two, stride 8: has the shape .*; give .*$"):
        cost_matrix({"one": {8: sample(0, 3)}, "two": {8: np.zeros(shape)}})


@pytest.mark.parametrize("ridge", [0, -1e-3, np.nan, np.inf])
def test_the_ridge_is_positive(ridge):
    with pytest.raises(UserError, match=r"^ridge: is .*; give a positive number"):
        cost_matrix({"a": {8: sample(0, 3)}}, ridge=ridge)


def test_one_detector_has_no_pairs():
    assert cost_matrix({"a": {8: sample(0, 3)}}) == {"a": {}}
    assert intervals({"a": {8: sample(0, 3)}}) == {"a": {}}
    assert LevelCost(np.zeros(3), np.zeros(3)).normalised == 0
