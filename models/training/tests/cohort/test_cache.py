"""The cohort on disk: resumable, independent of the number of workers, one split a person."""

from pathlib import Path

import numpy as np
import pytest

from cardiacnets.cohort import CohortIncompleteError, CohortMismatchError, cache, draw_person, generate, load
from cardiacnets.cohort.cache import SPLITS, split_of
from cardiacnets.cohort.cmr import render_short_axis

SEED = 11
FILES = ("ecg", "indices", "conditions", "person", "split")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "SHARD_PEOPLE", 8)


class Killed(Exception):
    pass


def kill_after(people: int):
    def report(done: int, total: int):
        if done >= people:
            raise Killed

    return report


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.npy").read_bytes() for name in FILES}


def test_resumed_cohort_equals_an_uninterrupted_one(tmp_path: Path):
    whole = generate(tmp_path / "whole", 30, SEED)
    with pytest.raises(Killed):
        generate(tmp_path / "killed", 30, SEED, on_progress=kill_after(10))

    with pytest.raises(CohortIncompleteError):
        load(tmp_path / "killed")
    resumed = generate(tmp_path / "killed", 30, SEED)

    assert contents(resumed) == contents(whole)


def test_workers_do_not_change_the_cohort(tmp_path: Path):
    one = generate(tmp_path / "one", 20, SEED, workers=1)
    two = generate(tmp_path / "two", 20, SEED, workers=2)

    assert contents(one) == contents(two)


def test_a_folder_of_another_seed_is_refused(tmp_path: Path):
    generate(tmp_path, 8, SEED)

    with pytest.raises(CohortMismatchError):
        generate(tmp_path, 8, SEED + 1)


def test_loaded_cohort_has_the_specified_shapes(tmp_path: Path):
    cohort = load(generate(tmp_path, 12, SEED))

    assert (cohort.ecg.shape, cohort.ecg.dtype) == ((12, 12, 5000), np.int16)
    assert (cohort.indices.shape, cohort.indices.dtype) == ((12, 82), np.float32)
    assert (cohort.conditions.shape, cohort.conditions.dtype) == ((12, 5), np.bool_)
    assert (cohort.person.shape, cohort.person.dtype) == ((12, 4), np.float32)
    assert set(cohort.split) <= set(SPLITS)


def test_splits_are_7_1_2_and_stable_per_person(tmp_path: Path):
    splits = np.array([split_of(SEED, index) for index in range(4000)])
    shares = np.bincount(splits, minlength=3) / splits.size

    np.testing.assert_allclose(shares, (0.7, 0.1, 0.2), atol=0.03)
    small, large = load(generate(tmp_path / "small", 8, SEED)), load(generate(tmp_path / "large", 16, SEED))
    np.testing.assert_array_equal(small.split, large.split[:8])
    np.testing.assert_array_equal(small.ecg, large.ecg[:8])


def test_cines_are_written_on_request(tmp_path: Path):
    plain = load(generate(tmp_path / "plain", 2, SEED))
    with_cines = load(generate(tmp_path / "cines", 3, SEED, cines=2))

    assert plain.short_axis is None
    assert with_cines.short_axis.shape == with_cines.four_chamber.shape == (2, 50, 128, 128)
    np.testing.assert_array_equal(plain.ecg, with_cines.ecg[:2])
    np.testing.assert_array_equal(with_cines.short_axis[1], render_short_axis(draw_person(SEED, 1), SEED).frames)


def test_people_of_an_older_version_are_read_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = generate(tmp_path, 8, SEED)
    monkeypatch.setattr(cache, "COHORT_VERSION", cache.COHORT_VERSION + 1)

    with pytest.raises(CohortMismatchError):
        load(folder)

    assert len(load(folder, any_version=True).person) == 8
