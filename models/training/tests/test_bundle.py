import hashlib
import json

import numpy as np
import pytest
import torch

from cardiacnets.bundle import (
    FILES,
    Auroc,
    BundleFacts,
    Calibration,
    ConditionEntry,
    IndexEntry,
    inference_session,
    write_bundle,
)
from cardiacnets.data.windows import to_window
from cardiacnets.domain import CONDITIONS, INDICES, LEADS
from cardiacnets.evaluate import EvaluationSet, model_inputs, predict
from cardiacnets.models.screen import Screen
from cardiacnets.reference.synthetic import synthetic_ecg

FACTS = BundleFacts(
    name="made-up",
    version="0.0.1",
    conditions=[
        ConditionEntry(
            name, "virtual", Calibration(), {"youden": 0.5, "sensitivity90": 0.2}, Auroc(0.5, (0.4, 0.6), "made up")
        )
        for name in CONDITIONS
    ],
    indices=[IndexEntry(name, "virtual", 0.1, 1.6) for name in INDICES],
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    made = Screen()
    made.function_head.standardise(torch.randn(50, len(INDICES)) * 20 + 100)
    return made.eval()


@pytest.fixture(scope="module")
def ecgs():
    rng = np.random.default_rng(6)
    windows = [to_window(synthetic_ecg(rng, leads=12, heart_rate_bpm=bpm), 500) for bpm in (50, 70, 95)]
    person = np.array([[0, 61, np.nan, np.nan], [1, np.nan, 165, 60], [np.nan] * 4], dtype=np.float32)
    return EvaluationSet(windows, person, np.zeros((3, len(CONDITIONS)), dtype=bool), None)


@pytest.fixture(scope="module")
def bundle(model, ecgs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    feed = model_inputs(ecgs.windows, ecgs.person)
    difference = write_bundle(model, folder, FACTS, "a card", {n: torch.from_numpy(a) for n, a in feed.items()})
    return folder, difference


def test_onnx_and_pytorch_agree(bundle):
    assert bundle[1] <= 1e-4


def test_the_manifest_names_every_file_by_its_hash(bundle):
    folder, _ = bundle
    manifest = json.loads((folder / "manifest.json").read_text())

    assert {entry["path"] for entry in manifest["files"]} == {*FILES, "MODEL_CARD.md"}
    for entry in manifest["files"]:
        content = (folder / entry["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])


def test_the_manifest_gives_the_agreed_tensors(bundle):
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
    }


def test_conditions_in_another_order_are_refused(model, tmp_path):
    wrong = BundleFacts(FACTS.name, FACTS.version, FACTS.conditions[::-1], FACTS.indices)

    with pytest.raises(ValueError, match="order"):
        write_bundle(model, tmp_path, wrong, "a card", {})


def test_an_ecg_gets_the_same_answer_alone_and_in_a_batch(bundle, ecgs):
    session = inference_session(bundle[0] / "screen.onnx")

    together = predict(session, ecgs)
    alone = predict(session, EvaluationSet(ecgs.windows[1:2], ecgs.person[1:2], ecgs.conditions[1:2], None))

    np.testing.assert_allclose(alone.mean[0], together.mean[1], rtol=1e-4)
    np.testing.assert_allclose(alone.logits[0], together.logits[1], atol=1e-4)


def test_what_a_masked_lead_or_person_field_holds_changes_nothing(bundle, ecgs):
    session = inference_session(bundle[0] / "screen.onnx")
    feed = model_inputs(ecgs.windows, ecgs.person, LEADS[:6])
    garbage = {name: array.copy() for name, array in feed.items()}
    garbage["ecg"][:, 6:] = 1
    garbage["amplitude"][:, 6:] = 3
    garbage["person"][garbage["person_mask"] == 0] = 99

    clean, dirty = session.run(None, feed), session.run(None, garbage)

    for a, b in zip(clean, dirty, strict=True):
        np.testing.assert_array_equal(a, b)
