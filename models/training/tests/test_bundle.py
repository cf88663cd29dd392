import hashlib
import json

import numpy as np
import pytest
import torch

from cardiacnets.bundle.quantise import quantise
from cardiacnets.bundle.write import (
    SCREEN,
    Auroc,
    BundleFacts,
    Calibration,
    ConditionEntry,
    IndexEntry,
    OodEntry,
    export_onnx,
    inference_session,
    parity,
    write_bundle,
)
from cardiacnets.data.windows import to_window
from cardiacnets.domain import CONDITIONS, INDICES, LEADS
from cardiacnets.evaluation.inference import CachedScreener, EcgSet, model_inputs
from cardiacnets.models.ood import Ood
from cardiacnets.models.screen import Screen, ShippedScreen
from cardiacnets.reference.synthetic import synthetic_ecg

FACTS = BundleFacts(
    name="made-up",
    version="0.0.1",
    conditions=[
        ConditionEntry(
            name,
            "virtual",
            Calibration(),
            {"youden": 0.5, "sensitivity90": 0.2},
            Auroc(0.5, (0.4, 0.6), "made up"),
            0.1,
        )
        for name in CONDITIONS
    ],
    indices=[IndexEntry(name, "virtual", 0.1, 1.6) for name in INDICES],
    ood=OodEntry(0.0, 0.01, "made up"),
)


@pytest.fixture(scope="module")
def ecgs():
    rng = np.random.default_rng(6)
    signals = [synthetic_ecg(rng, leads=12, heart_rate_bpm=bpm) for bpm in (50, 70, 95)]
    person = np.array([[0, 61, np.nan, np.nan], [1, np.nan, 165, 60], [np.nan] * 4], dtype=np.float32)
    return EcgSet("made-up", signals.__getitem__, 500, person, np.zeros((3, len(CONDITIONS)), dtype=bool))


@pytest.fixture(scope="module")
def feed(ecgs):
    return model_inputs([to_window(ecgs.recording(row), 500) for row in range(3)], ecgs.person)


@pytest.fixture(scope="module")
def bundle(feed, tmp_path_factory):
    torch.manual_seed(1)
    screen = Screen()
    screen.function_head.standardise(torch.randn(50, len(INDICES)) * 20 + 100)
    model = ShippedScreen(screen, Ood(screen.encoder.trunk.attention.in_channels)).eval()
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("bundle")
    export_onnx(model, made)
    difference = parity(model, made, {name: torch.from_numpy(array) for name, array in feed.items()})
    write_bundle(made, difference, folder, FACTS, "a card")
    return folder, difference


def test_onnx_and_pytorch_agree(bundle):
    assert bundle[1] <= 1e-4


def test_bundle_with_a_different_onnx_network_is_refused(bundle, tmp_path):
    with pytest.raises(ValueError, match="differ"):
        write_bundle(bundle[0], 2e-4, tmp_path, FACTS, "a card")


def test_manifest_lists_every_file_with_its_hash(bundle):
    folder, _ = bundle
    manifest = json.loads((folder / "manifest.json").read_text())

    assert {entry["path"] for entry in manifest["files"]} == {SCREEN, "MODEL_CARD.md"}
    for entry in manifest["files"]:
        content = (folder / entry["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])


def test_manifest_states_the_specified_tensors(bundle):
    folder, _ = bundle
    tensors = json.loads((folder / "manifest.json").read_text())["tensors"]["screen.onnx"]

    assert {tensor["name"]: tensor["shape"] for tensor in tensors["inputs"]} == {
        "ecg": ["N", 12, 5000],
        "amplitude": ["N", 12, 2],
        "lead_mask": ["N", 12],
        "person": ["N", 4],
        "person_mask": ["N", 4],
    }
    assert {tensor["name"]: tensor["shape"] for tensor in tensors["outputs"]} == {
        "condition_logits": ["N", 5],
        "index_mean": ["N", 82],
        "index_logvar": ["N", 82],
        "embedding": ["N", 256],
        "ood": ["N"],
    }


def test_conditions_in_another_order_are_refused(bundle, tmp_path):
    wrong = BundleFacts(FACTS.name, FACTS.version, FACTS.conditions[::-1], FACTS.indices, FACTS.ood)

    with pytest.raises(ValueError, match="order"):
        write_bundle(bundle[0], 0, tmp_path, wrong, "a card")


def test_ecg_gets_the_same_result_alone_and_in_a_batch(bundle, ecgs, tmp_path):
    screener = CachedScreener(bundle[0] / "screen.onnx", tmp_path)

    (together,) = screener(ecgs)
    (alone,) = screener(ecgs.rows([1], "alone"))

    np.testing.assert_allclose(alone.mean[0], together.mean[1], rtol=1e-4)
    np.testing.assert_allclose(alone.logits[0], together.logits[1], atol=1e-4)
    np.testing.assert_allclose(alone.ood[0], together.ood[1], atol=1e-4)


def test_results_are_cached_per_model(bundle, ecgs, tmp_path):
    (first,) = CachedScreener(bundle[0] / "screen.onnx", tmp_path)(ecgs)
    silent = EcgSet(ecgs.name, lambda row: pytest.fail("was run again"), 500, ecgs.person, ecgs.conditions)

    (again,) = CachedScreener(bundle[0] / "screen.onnx", tmp_path)(silent)

    np.testing.assert_array_equal(first.logits, again.logits)


def test_values_of_masked_leads_and_person_fields_are_ignored(bundle, feed):
    session = inference_session(bundle[0] / "screen.onnx")
    mask = np.array([lead in LEADS[:6] for lead in LEADS], dtype=np.float32)
    clean = feed | {"lead_mask": np.tile(mask, (3, 1))}
    garbage = {name: array.copy() for name, array in clean.items()}
    garbage["ecg"][:, 6:] = 1
    garbage["amplitude"][:, 6:] = 3
    garbage["person"][garbage["person_mask"] == 0] = 99

    for a, b in zip(session.run(None, clean), session.run(None, garbage), strict=True):
        np.testing.assert_array_equal(a, b)


def test_int8_gives_nearly_the_same_results(bundle, feed, tmp_path):
    quantise(bundle[0] / "screen.onnx", tmp_path / "int8.onnx", [feed])

    whole = inference_session(bundle[0] / "screen.onnx").run(["embedding"], feed)[0]
    coarse = inference_session(tmp_path / "int8.onnx").run(["embedding"], feed)[0]

    cosine = (whole * coarse).sum(axis=1) / (np.linalg.norm(whole, axis=1) * np.linalg.norm(coarse, axis=1))
    assert cosine.min() > 0.99
