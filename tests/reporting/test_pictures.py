"""Boxes, masks and labels on images."""

from __future__ import annotations

import numpy as np
import pytest

from mtpd.reporting.pictures import colour_of, draw_boxes, side_by_side

CLASSES = ("circle", "square")
GREY = np.full((60, 80, 3), 120, np.uint8)


def test_the_outline_has_the_colour_of_the_class_and_the_image_stays() -> None:
    before = GREY.copy()
    drawn = draw_boxes(GREY, [[10, 30, 40, 50]], [1], [0.5], CLASSES)
    assert drawn.shape == GREY.shape
    assert drawn.dtype == np.uint8
    assert tuple(drawn[50, 25]) == colour_of(1)
    assert tuple(drawn[40, 10]) == colour_of(1)
    assert tuple(drawn[40, 25]) == (120, 120, 120)
    assert np.array_equal(GREY, before)


def test_a_label_stands_above_its_box_or_inside_where_there_is_no_room() -> None:
    high = draw_boxes(GREY, [[10, 30, 40, 50]], [0], [0.5], CLASSES)
    changed = (high != GREY).any(axis=2)
    assert changed[20:30, 12:30].any()
    assert not changed[:14].any()
    low = draw_boxes(GREY, [[10, 0, 40, 50]], [0], [0.5], CLASSES)
    assert tuple(low[1, 11]) == colour_of(0)


@pytest.mark.parametrize("box", [[-30, -5, 200, 90], [90, 70, 120, 99], [20, 20, 20, 20]])
def test_boxes_outside_the_image_or_without_area_are_drawn_at_its_edge(box: list[int]) -> None:
    assert draw_boxes(GREY, [box], [0], [0.5], CLASSES).shape == GREY.shape


def test_no_boxes_leave_the_image_as_it_is() -> None:
    assert np.array_equal(draw_boxes(GREY, np.zeros((0, 4)), [], [], CLASSES), GREY)


def test_the_box_of_the_higher_score_is_on_top() -> None:
    boxes = [[10, 30, 40, 50], [10, 30, 40, 50]]
    for scores, expected in (([0.9, 0.1], 0), ([0.1, 0.9], 1)):
        drawn = draw_boxes(GREY, boxes, [0, 1], scores, CLASSES)
        assert tuple(drawn[50, 25]) == colour_of(expected)


def test_a_mask_is_laid_over_the_image() -> None:
    masks = np.zeros((1, 60, 80), bool)
    masks[0, 35:45, 15:30] = True
    drawn = draw_boxes(GREY, [[10, 30, 40, 50]], [1], None, CLASSES, masks)
    expected = (0.55 * 120 + 0.45 * np.array(colour_of(1))).round()
    assert np.array_equal(drawn[40, 20], expected.astype(np.uint8))
    assert tuple(drawn[47, 20]) == (120, 120, 120)


def test_small_images_are_drawn_larger() -> None:
    drawn = draw_boxes(GREY, [[10, 30, 40, 50]], [1], [0.5], CLASSES, at_least=150)
    assert drawn.shape == (180, 240, 3)
    assert tuple(drawn[150, 75]) == colour_of(1)


def test_classes_have_colours_of_their_own() -> None:
    assert len({colour_of(label) for label in range(80)}) == 80


def test_pictures_stand_beside_each_other_under_their_titles() -> None:
    picture = side_by_side([("one", GREY), ("a much longer title than the picture is wide", GREY)])
    assert picture.shape[1] == 80 + 8 + 80
    assert np.array_equal(picture[-60:, :80], GREY)
    assert np.array_equal(picture[-60:, 88:], GREY)
    assert (picture[: picture.shape[0] - 60] < 100).any()
