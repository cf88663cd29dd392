"""People: the same for the same seed, ill at the stated rates, healthy within the published ranges."""

import numpy as np
import pytest

from cardiacnets.cohort import draw_person, index_ids, measure_indices
from cardiacnets.cohort.person import CONDITIONS, Person

SEED = 3
PEOPLE = 1200


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return [draw_person(SEED, index) for index in range(PEOPLE)]


@pytest.fixture(scope="module")
def indices(people: list[Person]) -> dict[str, np.ndarray]:
    values = np.stack([measure_indices(person) for person in people]).astype(float)
    return dict(zip(index_ids(), values.T, strict=True))


def test_person_depends_only_on_seed_and_index():
    alone = measure_indices(draw_person(SEED, 7))

    for index in (3, 99):
        draw_person(SEED, index)
    again = measure_indices(draw_person(SEED, 7))

    np.testing.assert_array_equal(alone, again)
    assert not np.array_equal(alone, measure_indices(draw_person(SEED + 1, 7)))


def test_every_index_is_finite(indices: dict[str, np.ndarray]):
    assert len(indices) == 82
    assert all(np.isfinite(values).all() for values in indices.values())


@pytest.mark.parametrize("chamber", ["lv", "rv"])
def test_ventricular_volumes_agree(indices: dict[str, np.ndarray], chamber: str):
    edv, esv, sv, ef = (indices[f"{chamber}{name}"] for name in ("Edv", "Esv", "Sv", "Ef"))

    np.testing.assert_allclose(sv, edv - esv, rtol=1e-4)
    np.testing.assert_allclose(ef, 100 * sv / edv, rtol=1e-4)
    assert (esv > 0).all()


@pytest.mark.parametrize("atrium", ["la", "ra"])
def test_atrial_volumes_agree(indices: dict[str, np.ndarray], atrium: str):
    maximum, minimum = indices[f"{atrium}MaxVolume"], indices[f"{atrium}MinVolume"]

    np.testing.assert_allclose(indices[f"{atrium}Sv"], maximum - minimum, rtol=1e-4)
    np.testing.assert_allclose(indices[f"{atrium}Ef"], 100 * (maximum - minimum) / maximum, rtol=1e-4)


def test_cardiac_output_is_stroke_volume_times_rate(people: list[Person], indices: dict[str, np.ndarray]):
    rate = np.array([person.heart_rate_bpm for person in people])

    np.testing.assert_allclose(indices["lvCo"], indices["lvSv"] * rate / 1000, rtol=1e-4)


@pytest.mark.parametrize("part", ["ascending", "descending"])
def test_aortic_areas_agree_with_distensibility(people: list[Person], indices: dict[str, np.ndarray], part: str):
    pressure = np.array([person.pulse_pressure_mmhg for person in people])
    largest, smallest = indices[f"{part}AortaMaxArea"], indices[f"{part}AortaMinArea"]

    np.testing.assert_allclose(
        indices[f"{part}AortaDistensibility"], 1e3 * (largest - smallest) / (smallest * pressure), rtol=1e-3
    )


@pytest.mark.parametrize(
    ("stem", "unit", "count"),
    [
        ("wallThickness", "Aha", 16), ("circumferentialStrain", "Aha", 16),
        ("radialStrain", "Aha", 16), ("longitudinalStrain", "Segment", 6),
    ],
)  # fmt: skip
def test_global_value_is_the_mean_of_the_segments(indices: dict[str, np.ndarray], stem: str, unit: str, count: int):
    segments = np.mean([indices[f"{stem}{unit}{number}"] for number in range(1, count + 1)], axis=0)

    np.testing.assert_allclose(indices[f"{stem}Global"], segments, rtol=1e-4)


def test_higher_ejection_fraction_goes_with_more_strain(indices: dict[str, np.ndarray]):
    ef = indices["lvEf"]

    assert np.corrcoef(ef, indices["circumferentialStrainGlobal"])[0, 1] < -0.7
    assert np.corrcoef(ef, indices["longitudinalStrainGlobal"])[0, 1] < -0.6
    assert np.corrcoef(ef, indices["radialStrainGlobal"])[0, 1] > 0.7


def test_mass_follows_from_the_walls(people: list[Person], indices: dict[str, np.ndarray]):
    person = people[0]
    thin = person.lv_mass_g

    person.thickness_mm = person.thickness_mm * 1.1
    thick = person.lv_mass_g
    person.thickness_mm = person.thickness_mm / 1.1

    assert indices["lvMass"][0] == pytest.approx(thin, rel=1e-5)
    assert 1.10 * thin < thick < 1.15 * thin


def test_healthy_people_lie_in_the_reference_ranges(people: list[Person], indices: dict[str, np.ndarray]):
    healthy = np.array([not person.conditions().any() for person in people])
    female = np.array([person.female for person in people])
    # Means of Petersen et al. 2017, JCMR 19:18; the cohort is older and heavier than theirs.
    expected = {"lvEdv": (166, 124), "lvEf": (58, 61), "lvMass": (103, 70), "rvEdv": (182, 130), "rvEf": (54, 58)}

    for name, (men, women) in expected.items():
        assert indices[name][healthy & ~female].mean() == pytest.approx(men, rel=0.10), name
        assert indices[name][healthy & female].mean() == pytest.approx(women, rel=0.10), name


def test_conditions_move_the_heart_as_they_do_in_life(people: list[Person], indices: dict[str, np.ndarray]):
    conditions = np.stack([person.conditions() for person in people])
    healthy = ~conditions.any(axis=1)
    kind = np.array([person.cm_kind for person in people])
    with_ph, with_hf = conditions[:, CONDITIONS.index("ph")], conditions[:, CONDITIONS.index("hf")]

    assert indices["lvEdv"][kind == "dcm"].mean() > 1.15 * indices["lvEdv"][healthy].mean()
    assert indices["lvMass"][kind == "hcm"].mean() > 1.30 * indices["lvMass"][healthy].mean()
    # Restriction no longer brings AF with it, which dilates atria of its own.
    assert indices["laMaxVolume"][kind == "rcm"].mean() > 1.20 * indices["laMaxVolume"][healthy].mean()
    assert indices["rvEf"][with_ph].mean() < indices["rvEf"][healthy].mean() - 6
    assert indices["lvEf"][with_hf].mean() < indices["lvEf"][healthy].mean() - 6


def test_about_half_of_the_people_have_a_condition(people: list[Person]):
    conditions = np.stack([person.conditions() for person in people])

    assert 0.40 < conditions.any(axis=1).mean() < 0.60
    assert (conditions.mean(axis=0) > 0.06).all()
    assert (conditions.sum(axis=1) > 1).any()
