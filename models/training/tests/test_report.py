import json
import re

import numpy as np
import pytest
import torch

from cardiacnets.bundle.write import BundleFacts, IndexEntry, OodEntry, export_onnx
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluation import report as measuring
from cardiacnets.evaluation.card import model_card
from cardiacnets.evaluation.export import calibrate
from cardiacnets.evaluation.inference import CachedScreener, EcgSet
from cardiacnets.evaluation.page import evaluation_page
from cardiacnets.evaluation.plots import draw_all
from cardiacnets.metrics import auroc, auroc_with_ci, bootstrap_ci
from cardiacnets.models.ood import Ood
from cardiacnets.models.screen import Screen, ShippedScreen
from cardiacnets.reference.synthetic import synthetic_ecg
from cardiacnets.signal.disturb import NOISE_KINDS, Disturbance, disturb

PEOPLE = 16
FOUND = {"among": 16, "medianRank": 8, "ci": [5, 10], "recall1": 0.1, "recall10": 0.6}
EXPORTED = {
    "int8": {
        "aurocLost": dict.fromkeys(CONDITIONS, 0.001),
        "milliseconds": {"float32": 2.0, "int8": 3.0},
        "megabytes": {"float32": 5.0, "int8": 1.4},
        "kept": False,
    },
    "retrieval": {
        "short_axis": FOUND | {"by": {"ecg": FOUND, "ecgAlone": FOUND | {"medianRank": 11}, "stranger": FOUND}},
        "four_chamber": {"among": 16, "medianRank": 9, "recall1": 0.1, "recall10": 0.6},
    },
    "bundle": "made-up@0.0.1",
    "commit": "0" * 40,
}


def ecgs(name, seed, *, is_virtual):
    rng = np.random.default_rng(seed)
    signals = [synthetic_ecg(rng, leads=12, heart_rate_bpm=bpm)[:, ::5] for bpm in rng.uniform(50, 100, PEOPLE)]
    sick = np.arange(PEOPLE) % 2 == 0
    person = np.stack([sick * 1.0, rng.uniform(30, 90, PEOPLE), np.full(PEOPLE, 170.0), np.full(PEOPLE, 70.0)], axis=1)
    codes = tuple(frozenset({"LVH"} if row % 4 == 0 else {"NORM"}) for row in range(PEOPLE))
    return EcgSet(
        name,
        signals.__getitem__,
        100,
        person.astype(np.float32),
        np.repeat(sick[:, None], len(CONDITIONS), axis=1),
        rng.normal(100, 10, (PEOPLE, len(INDICES))) if is_virtual else None,
        () if is_virtual else codes,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A network that has learned nothing, taken through calibration and the whole report."""
    folder = tmp_path_factory.mktemp("report")
    torch.manual_seed(1)
    screen = Screen()
    export_onnx(ShippedScreen(screen, Ood(screen.encoder.trunk.attention.in_channels)).eval(), folder)
    screener = CachedScreener(folder / "screen.onnx", folder)
    data = measuring.HeldOut(ecgs("real", 1, is_virtual=False), ecgs("virtual", 2, is_virtual=True))
    adjustment, _ = calibrate(screener, data.real, data.virtual)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARDIACNETS_DATA", str(folder))  # no other devices' ECGs
        found = measuring.measure(screener, data, adjustment, {"PPG-like": 0.9})
    return folder, screener, data, adjustment, found | EXPORTED


def test_a_report_has_every_part_and_is_plain_json(measured):
    found = json.loads(json.dumps(measured[-1], allow_nan=False))

    assert set(found["test"]["conditions"]) == set(CONDITIONS)
    assert len(found["test"]["perIndexR"]) == len(INDICES)
    assert len(found["noise"]) == 1 + 3 * len(NOISE_KINDS)
    assert found["proxies"]["cm"]["positive"] == PEOPLE // 4
    assert found["ood"]["kinds"]["PPG-like"]["unseenAuroc"] == 0.9
    assert found["real"]["secondLook"]["changed"]["any"]["n"] == PEOPLE
    assert "refused" not in found["real"]["normals"]  # nobody applied the gate to these
    # Calibrated on the same people: the conformal interval covers them by construction.
    assert found["test"]["coverage90"] >= 0.9


def test_other_people_stand_beside_the_oracle_only_where_it_is_of_the_same_code(measured, tmp_path, monkeypatch):
    _, screener, data, adjustment, _ = measured
    monkeypatch.setattr(measuring, "virtual_set", lambda *_, **__: data.virtual)
    oracle = {"n": 20, "version": 3, "meanR": 0.5, "macroAuroc": 0.8}
    oracle["conditions"] = {name: {"auroc": 0.75} for name in CONDITIONS}
    for name in ("oracle.json", "oracle-with-person.json"):
        (tmp_path / name).write_text(json.dumps(oracle))

    found = []
    for version in (2, 3):
        (tmp_path / "meta.json").write_text(json.dumps({"version": version}))
        found.append(measuring.measure_people(screener, adjustment, tmp_path, tmp_path))

    assert "oracle" not in found[0]
    alone = found[1]["oracle"]["withoutPerson"]
    assert alone["closeness"]["meanR"] == pytest.approx(alone["ours"]["meanR"] / 0.5, abs=1e-3)
    assert found[1]["operating"]["ph"]["sensitivity"]["n"] == PEOPLE // 2


def test_the_page_says_whether_oracle_and_network_are_of_the_same_people(measured):
    found = measured[-1]
    of = found["oracle"]["withPerson"]["version"]

    assert "**Not comparable here**" in evaluation_page(found | {"cohortVersion": of + 1})
    assert f"Both are of cohort version {of}." in evaluation_page(found | {"cohortVersion": of})


def test_page_and_card_match_the_report(measured):
    *_, adjustment, found = measured
    facts = BundleFacts(
        "made-up",
        "0.0.1",
        [],
        [IndexEntry(name, "virtual", 0.1, 1.0) for name in INDICES],
        OodEntry(adjustment.ood_threshold, 0.01, "made up"),
        {"data": [{"people": 16, "seed": 1}], "seeds": [1], "commit": "0" * 40},
    )

    page, card = evaluation_page(found), model_card("0.0.1", facts, found)

    for text in (page, card):
        assert f"{found['real']['cad']['auroc']:.3f}" in text
        assert "Not a medical device" in text
        assert not re.search(r"\bnan\b|None", text)
    assert "| short axis | ECG alone | 16 | 11 (5–10) | 10.0% | 60.0% |" in page
    assert "| four chamber | ECG and person | 16 | 9 | 10.0% | 60.0% |" in page  # of a report before the others


def test_every_plot_with_data_is_drawn(measured):
    folder, screener, data, adjustment, found = measured
    points = {name: np.random.default_rng(3).normal(size=(PEOPLE, 8)) for name in ("ecg", "short_axis")}

    draw_all(folder / "plots", found, data, screener, adjustment, (points, np.arange(PEOPLE)))

    names = {path.stem for path in (folder / "plots").glob("*.png")}
    assert names == {"roc", "calibration", "bland-altman", "retrieval", "shared-space"}


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_has_the_requested_strength(kind):
    ecg = synthetic_ecg(np.random.default_rng(1), leads=12, heart_rate_bpm=70)

    noisy, rate = disturb(ecg, 500, Disturbance(kind, 6), seed=2)

    assert rate == 500
    power = ((ecg - ecg.mean(axis=1, keepdims=True)) ** 2).mean() / ((noisy - ecg) ** 2).mean()
    assert 10 * np.log10(power) == pytest.approx(6)


def test_fast_auroc_bootstrap_equals_the_plain_one():
    rng = np.random.default_rng(2)
    truth = rng.random(80) < 0.3
    score = np.round(rng.normal(size=80) + truth, 1)  # with ties

    value, interval = auroc_with_ci(truth, score)

    assert value == auroc(truth, score)
    assert interval == pytest.approx(bootstrap_ci(lambda rows: auroc(truth[rows], score[rows]), 80))
