import numpy as np
import torch

from cardiacnets.bundle.write import BLOCK_OUTPUT, example_inputs, export_onnx, inference_session, outputs_of, parity
from cardiacnets.data.real import no_real, stated_blocks
from cardiacnets.domain import BLOCKS
from cardiacnets.evaluation.fit_blocks import FOUND, block_threshold, fit_blocks, read_blocks
from cardiacnets.evaluation.inference import run_session
from cardiacnets.metrics import auroc
from cardiacnets.models.ood import Ood
from cardiacnets.models.screen import Screen, ShippedScreen


def test_blocks_are_read_off_tokens_that_hold_them():
    rng = np.random.default_rng(0)
    stated = rng.random((3000, 2)) < 0.05
    pooled = rng.normal(0, 1, (3000, 576))
    pooled[:, :2] += 6 * stated

    layer = read_blocks(pooled[:2000], stated[:2000])

    logits = layer(torch.from_numpy(pooled[2000:]).float()).numpy()
    for index in range(2):
        assert auroc(stated[2000:, index], logits[:, index]) > 0.98


def test_the_threshold_finds_the_stated_share_and_no_more_than_it_must():
    logit, stated = np.arange(100.0), np.arange(100) >= 40

    threshold = block_threshold(logit, stated)

    assert np.mean(logit[stated] >= threshold) >= FOUND
    assert np.mean(logit[stated] >= threshold + 1) < FOUND


def test_statements_are_in_the_order_of_blocks():
    assert stated_blocks([frozenset({"CLBBB", "SR"}), frozenset({"CRBBB"}), frozenset({"IRBBB"})]).tolist() == [
        [False, True],
        [True, False],
        [False, False],
    ]
    assert BLOCKS == ("rbbb", "lbbb")


def test_the_output_is_there_only_where_a_network_reads_blocks(tmp_path):
    torch.manual_seed(0)
    screen = Screen()
    ood = Ood(screen.encoder.trunk.attention.in_channels)
    inputs = example_inputs(3)
    feed = {name: value.numpy() for name, value in inputs.items()}
    found = {}
    for name, blocks in (("without", None), ("with", torch.nn.Linear(576, 2))):
        model = ShippedScreen(screen, ood, blocks).eval()
        (tmp_path / name).mkdir()
        export_onnx(model, tmp_path / name)
        assert parity(model, tmp_path / name, inputs) <= 1e-4
        session = inference_session(tmp_path / name / "screen.onnx")
        assert [each.name for each in session.get_outputs()] == list(outputs_of(model))
        found[name] = run_session(session, feed)
    assert outputs_of(ShippedScreen(screen, ood, torch.nn.Linear(576, 2)))[-1] == BLOCK_OUTPUT
    assert found["without"].blocks.shape == (3, 0)
    assert found["with"].blocks.shape == (3, 2)
    np.testing.assert_array_equal(found["with"].logits, found["without"].logits)
    older = run_session(session, feed | {"person": feed["person"] + np.float32(30)})
    np.testing.assert_array_equal(older.blocks, found["with"].blocks)
    assert not np.array_equal(older.logits, found["with"].logits)


def test_nobody_stated_blocks():
    assert fit_blocks(Screen(), no_real()) is None
