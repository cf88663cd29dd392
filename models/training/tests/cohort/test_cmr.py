"""Cines: the same for the same seed, and what they show is what the indices say."""

import numpy as np
import pytest

from cardiacnets.cohort import draw_person
from cardiacnets.cohort.cmr import Cine, render_four_chamber, render_short_axis, render_short_axis_stack
from cardiacnets.cohort.heart import LA_CAVITY, LV_CAVITY, LV_WALL, RA_CAVITY, RV_CAVITY, draw_heart
from cardiacnets.cohort.motion import FRAMES
from cardiacnets.cohort.person import Person

SEED = 3
SIZE = 96


@pytest.fixture(scope="module")
def person() -> Person:
    return draw_person(SEED, 0)


def volume_ml(stack: list[Cine], frame: int, label: int, length_mm: float) -> float:
    voxel = stack[0].pixel_mm ** 2 * length_mm / len(stack) / 1000
    return voxel * sum(np.count_nonzero(cine.mask[frame] == label) for cine in stack)


@pytest.mark.parametrize("render", [render_short_axis, render_four_chamber])
def test_cine_depends_only_on_seed_and_person(person: Person, render):
    first = render(person, SEED, SIZE)
    render(draw_person(SEED, 1), SEED, SIZE)
    second = render(person, SEED, SIZE)

    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert first.frames.shape == first.mask.shape == (FRAMES, SIZE, SIZE)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_stack_has_the_volumes_of_the_indices(index: int):
    person = draw_person(SEED, index)
    levels = np.arange(0.05, 1, 0.1)
    length_mm = 10 * person.lv_length_cm

    stack = render_short_axis_stack(person, SEED, tuple(levels), SIZE)
    end_systole = stack[0].end_systole
    shorter = 1 + draw_heart(person, SEED).lengthwise

    esv = person.lv_edv_ml * (1 - person.lv_ef)
    assert volume_ml(stack, 0, LV_CAVITY, length_mm) == pytest.approx(person.lv_edv_ml, rel=0.05)
    assert volume_ml(stack, end_systole, LV_CAVITY, length_mm * shorter) == pytest.approx(esv, rel=0.08, abs=4)
    # The cap beyond the apex of the cavity is in no slice: the thicker the wall, the more is missed.
    assert 0.75 < 1.05 * volume_ml(stack, 0, LV_WALL, length_mm) / person.lv_mass_g < 1.05


def test_the_heart_empties_to_end_systole_and_fills_again(person: Person):
    cine = render_short_axis(person, SEED, SIZE)
    area = (cine.mask == LV_CAVITY).sum(axis=(1, 2))

    assert area.argmax() in (0, FRAMES - 1)
    assert abs(int(area.argmin()) - cine.end_systole) <= 3
    assert area[cine.end_systole] < 0.75 * area[0]
    assert area[-1] > 0.95 * area[0]


def test_four_chambers_are_visible_and_atria_fill_in_systole(person: Person):
    cine = render_four_chamber(person, SEED, 128)

    for label in (LV_CAVITY, LV_WALL, RV_CAVITY, LA_CAVITY, RA_CAVITY):
        assert (cine.mask == label).any(axis=(1, 2)).all()
    for label in (LA_CAVITY, RA_CAVITY):
        assert (cine.mask[cine.end_systole] == label).sum() > (cine.mask[0] == label).sum()


def test_blood_is_brighter_than_muscle(person: Person):
    cine = render_short_axis(person, SEED, SIZE)
    blood = cine.frames[cine.mask == LV_CAVITY].mean()
    muscle = cine.frames[cine.mask == LV_WALL].mean()

    assert 1.6 < blood / muscle < 4


def test_a_scar_stays_thin():
    person = draw_person(SEED, 0)
    person.viability = np.ones(16)
    person.contraction = np.ones(16)
    lateral = [4, 5, 10, 11, 15]
    person.contraction[lateral] = 0.2

    heart = draw_heart(person, SEED)

    assert abs(heart.shortening[10]) < 0.3 * abs(heart.shortening[8])
