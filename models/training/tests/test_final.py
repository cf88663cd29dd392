import json

import pytest

from cardiacnets.bundle.write import INT8_FILE, file_entry, kept_synthesis
from cardiacnets.evaluation.export import note_final


def test_version_can_be_evaluated_on_the_test_fold_at_most_twice(tmp_path):
    ledger = tmp_path / "reports" / "final.jsonl"
    first, next_one = {"name": "compact", "version": "1.0.0"}, {"name": "compact", "version": "1.0.1"}

    note_final(ledger, first, "a" * 64)
    note_final(ledger, first, "b" * 64)
    with pytest.raises(ValueError, match="2 times"):
        note_final(ledger, first, "c" * 64)
    note_final(ledger, next_one, "d" * 64)

    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [line["bundle"] for line in lines] == ["compact@1.0.0"] * 2 + ["compact@1.0.1"]
    assert all(set(line) == {"date", "commit", "bundle", "modelSha256"} for line in lines)


@pytest.fixture
def bundle_that_draws(tmp_path):
    for name in ("screen.onnx", INT8_FILE, "denoiser.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    names = ("screen.onnx", INT8_FILE, "denoiser.onnx")
    manifest = {
        "files": [file_entry(tmp_path / name) for name in names],
        "tensors": {name: {"inputs": [], "outputs": []} for name in names},
        "synthesis": {"encoder": "encoder-drawing.onnx"},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_new_screening_network_keeps_the_synthesis_networks(bundle_that_draws):
    kept = kept_synthesis(bundle_that_draws)

    assert [file["path"] for file in kept["files"]] == ["denoiser.onnx"]
    assert list(kept["tensors"]) == ["denoiser.onnx"]
    assert kept["synthesis"] == {"encoder": "encoder-drawing.onnx"}


def test_synthesis_networks_that_differ_from_the_manifest_are_not_kept(bundle_that_draws):
    (bundle_that_draws / "denoiser.onnx").write_bytes(b"another")

    assert kept_synthesis(bundle_that_draws) == {"files": [], "tensors": {}}
