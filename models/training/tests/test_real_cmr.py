"""Real slices are read with the contours that experts drew on them."""

import numpy as np
import pytest

from cardiacnets.data import real_cmr
from cardiacnets.data.real_cmr import (
    RealCmrMissingError,
    fill_contour,
    has_real_cmr,
    load_pig,
    load_sunnybrook_dicom,
    load_sunnybrook_jpeg,
)
from cardiacnets.stages.segmentation import dice

needs_data = pytest.mark.skipif(not has_real_cmr(), reason="no real CMR: set CARDIACNETS_DATA to the shared data")


def test_filled_contour_has_the_enclosed_area():
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.column_stack([30 + 10 * np.cos(angle), 20 + 10 * np.sin(angle)])

    mask = fill_contour(circle, (40, 60))

    assert mask.sum() == pytest.approx(np.pi * 100, rel=0.03)
    assert mask[20, 30]
    assert not mask[30, 20]


def test_contour_outside_the_image_is_clipped():
    square = np.array([[-5.0, -5.0], [5.0, -5.0], [5.0, 5.0], [-5.0, 5.0]])

    mask = fill_contour(square, (10, 10))

    assert mask.sum() == 25


def test_missing_data_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIACNETS_DATA", str(tmp_path))
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path / "cache"))

    with pytest.raises(RealCmrMissingError) as caught:
        load_pig()

    assert caught.value.code == "real-cmr-missing"


@needs_data
def test_eight_patients_have_both_phases_and_a_wall_at_end_diastole():
    slices = load_sunnybrook_jpeg()

    assert len({item.subject for item in slices}) == 8
    for subject in {item.subject for item in slices}:
        assert {item.phase for item in slices if item.subject == subject} == {"ED", "ES"}
    for item in slices:
        assert item.image.shape == item.endo.shape == (256, 256)
        if item.epi is not None:
            assert item.phase == "ED"
            assert (item.endo & ~item.epi).sum() < 0.03 * item.endo.sum()
    blood = np.median(
        [
            item.image[item.endo].mean() / item.image[item.epi & ~item.endo].mean()
            for item in slices
            if item.epi is not None
        ]
    )
    assert 1.5 < blood < 5


@needs_data
def test_dicom_slices_have_the_mask_of_their_contour():
    slices = load_sunnybrook_dicom()

    folder = real_cmr._unpack(real_cmr._DICOM_ARCHIVE) / "Expert"
    contours = {int(file.name[8:12]): np.loadtxt(file) for file in folder.glob("*-icontour-*.txt")}
    numbers = [int(file.name[8:12]) for file in sorted(folder.glob("*.pgm"))]
    assert len(slices) == len(numbers) == 10
    assert all(item.pixel_mm == pytest.approx(1.3672) for item in slices)
    for number, item in zip(numbers, slices, strict=True):
        if number in contours:
            assert dice(fill_contour(contours[number], item.image.shape), item.endo) > 0.98


@needs_data
def test_the_pig_has_twenty_slices_of_twenty_phases():
    slices = load_pig()

    assert {(item.level, item.phase) for item in slices} == {(s, str(p)) for s in range(20) for p in range(20)}
    assert all(item.pixel_mm == pytest.approx(0.8203) for item in slices)
    assert all((item.endo & ~item.epi).sum() == 0 for item in slices if item.level == 10)
