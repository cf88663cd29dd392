"""A stack becomes the cine that the networks see."""

import numpy as np
import pytest

from cardiacnets.cohort import draw_person
from cardiacnets.cohort.cmr import render_four_chamber, render_short_axis_stack
from cardiacnets.data.cmr_preparation import (
    PreparationError,
    crop,
    heart_centre,
    middle_slice,
    prepare,
    resample_phases,
    resample_pixels,
)
from cardiacnets.evaluation.segmentation import virtual_stacks


def bright(frames):
    """A segmenter that takes all that is bright for heart."""
    return (frames > 100).astype(np.uint8)


def square_stack(slices=5, phases=20, size=150, row=60, column=90, half=20):
    """A bright square that is in the middle slice only."""
    stack = np.zeros((slices, phases, size, size), dtype=np.float32)
    stack[middle_slice(slices), :, row - half : row + half, column - half : column + half] = 200
    return stack


@pytest.mark.parametrize(("slices", "middle"), [(1, 0), (3, 1), (4, 1), (7, 3), (10, 4)])
def test_the_middle_slice_is_taken(slices, middle):
    assert middle_slice(slices) == middle


def test_the_crop_is_centred_on_the_heart_and_resampled():
    cine = prepare(square_stack(), (0.9, 0.9), bright)

    assert cine.shape == (50, 80, 80)
    assert cine.dtype == np.uint8
    rows, columns = np.nonzero(cine[0] > 128)
    assert rows.mean() == pytest.approx(39.5, abs=1)
    assert columns.mean() == pytest.approx(39.5, abs=1)
    assert np.ptp(rows) + 1 == pytest.approx(20, abs=2)  # 40 pixels of 0.9 mm


def test_row_and_column_spacing_are_applied_separately():
    cine = np.ones((2, 30, 40), dtype=np.float32)

    resampled = resample_pixels(cine, (3.6, 0.9))

    assert resampled.shape == (2, 60, 20)
    np.testing.assert_allclose(resampled, 1, rtol=1e-5)


def test_box_covers_the_heart_in_all_frames():
    labels = np.zeros((3, 100, 100), dtype=np.uint8)
    labels[0, 10:20, 30:40] = 1
    labels[2, 40:50, 60:80] = 3

    assert heart_centre(labels) == (30, 55)


@pytest.mark.parametrize("centre", [(0, 50), (99, 50), (50, 50)])
def test_crop_beyond_the_edge_is_padded_with_black(centre):
    cine = np.ones((2, 100, 100), dtype=np.uint8)
    cine[:, centre[0], centre[1]] = 9

    cut = crop(cine, centre, 80)

    assert cut.shape == (2, 80, 80)
    assert cut[0, 40, 40] == 9
    inside = min(centre[0] + 40, 100) - max(centre[0] - 40, 0)
    assert np.count_nonzero(cut[0]) == inside * 80


def test_fewer_phases_are_resampled_to_fifty():
    phases = np.sin(2 * np.pi * np.arange(20) / 20).astype(np.float32)[:, None, None]

    resampled = resample_phases(phases, 50)[:, 0, 0]

    np.testing.assert_allclose(resampled, np.sin(2 * np.pi * np.arange(50) / 50), atol=0.02)


def test_fifty_phases_are_unchanged():
    cine = np.random.default_rng(1).normal(size=(50, 4, 4)).astype(np.float32)

    np.testing.assert_array_equal(resample_phases(cine, 50), cine)


@pytest.mark.parametrize(
    ("stack", "view", "code"),
    [
        (np.zeros((5, 20, 64, 64)), "short_axis", "heart-not-found"),
        (np.zeros((2, 20, 64, 64)), "short_axis", "stack-slices"),
        (np.zeros((11, 20, 64, 64)), "short_axis", "stack-slices"),
        (np.zeros((3, 20, 64, 64)), "four_chamber", "stack-slices"),
        (np.zeros((20, 64, 64)), "short_axis", "stack-shape"),
    ],
)
def test_unusable_study_is_refused_with_a_code(stack, view, code):
    with pytest.raises(PreparationError) as caught:
        prepare(stack, (1.8, 1.8), bright, view)

    assert caught.value.code == code


def test_cohort_stack_keeps_its_pixels_and_heart():
    person, seed = draw_person(3, 0), 3
    cines = render_short_axis_stack(person, seed, (0.2, 0.42, 0.7))
    middle = cines[1]

    cine = prepare(np.stack([item.frames for item in cines]), (1.8, 1.8), lambda _: middle.mask)

    centre = heart_centre(middle.mask)
    held = crop(middle.mask, centre, 80)
    assert np.count_nonzero(held) == np.count_nonzero(middle.mask)
    shown = crop(middle.frames, centre, 80)
    assert np.corrcoef(cine.ravel(), shown.ravel())[0, 1] > 0.99


def test_middle_slice_is_cropped_to_the_heart_for_any_stack_size():
    def everything_in_the_middle(frames):
        labels = np.zeros(frames.shape, dtype=np.uint8)
        labels[:, 30:98, 30:98] = 1
        return labels

    report = virtual_stacks(everything_in_the_middle, seed=3, people=3)

    assert (report.people, report.refused) == (3, 0)
    assert report.middleSliceChosen == 1
    assert 0.5 < report.cropHoldsHeart.least <= report.cropHoldsHeart.mean <= 1


def test_four_chamber_cine_has_a_larger_crop():
    cine = render_four_chamber(draw_person(3, 0), 3)

    prepared = prepare(cine.frames[None], (1.8, 1.8), lambda _: cine.mask, "four_chamber")

    assert prepared.shape == (50, 96, 96)
