import pytest
import torch

from cardiacnets.bundle.quantise import store_in_half
from cardiacnets.bundle.write import example_inputs, export_encoder, export_onnx
from cardiacnets.models.ood import Ood
from cardiacnets.models.screen import Screen, ShippedScreen
from cardiacnets.models.unfold import load_bundle, load_encoder

from .conftest import TINY


@pytest.fixture
def trained():
    """A network whose batch norms have seen something."""
    torch.manual_seed(1)
    screen = Screen(TINY).train()
    for _ in range(5):
        screen(*example_inputs(4).values())
    return screen.eval()


def test_network_read_from_a_bundle_gives_the_same_output_with_live_norms(trained, tmp_path):
    export_onnx(ShippedScreen(trained, Ood(TINY.widths[-1])), tmp_path)
    inputs, ecgs = example_inputs(3), torch.randn(6, 12, 1000)

    read = load_bundle(tmp_path, TINY, ecgs)

    with torch.no_grad():
        for expected, actual in zip(trained(*inputs.values()), read(*inputs.values()), strict=True):
            assert torch.allclose(expected, actual, atol=2e-4)
        read.encoder.trunk.train()
        nobody = torch.zeros(6, 4)
        _, live = read.encoder.trunk(ecgs, torch.ones(6, 12), nobody, nobody)
        read.eval()
        _, still = read.encoder.trunk(ecgs, torch.ones(6, 12), nobody, nobody)
    # In training the norms take the batch's own statistics: of these ECGs, those that they were given back from.
    assert torch.nn.functional.cosine_similarity(live, still).min() > 0.5


def test_trunk_read_from_an_encoder_in_half_precision_gives_the_same_tokens(trained, tmp_path):
    with torch.no_grad():
        for value in trained.encoder.parameters():
            value.copy_(value.half().float())
    path = tmp_path / "encoder.onnx"
    export_encoder(trained.encoder, path)
    store_in_half(path, path)
    ecgs, present, nobody = torch.randn(6, 12, 1000), torch.ones(6, 12), torch.zeros(6, 4)

    read = load_encoder(path, TINY, ecgs)

    with torch.no_grad():
        wanted, found = (trunk(ecgs, present, nobody, nobody) for trunk in (trained.encoder.trunk, read))
    for expected, actual in zip(wanted, found, strict=True):
        assert torch.allclose(expected, actual, atol=2e-4)
