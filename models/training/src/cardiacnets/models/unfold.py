"""A shipped bundle's network as PyTorch modules again, to train on from it.

The exporter folds each batch norm into the convolution before it. Here every norm gets back the mean and the variance
that its input has on sample ECGs, and a scale and offset that undo them: the network computes the same, and its norms
follow new data in training.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from cardiacnets.models.encoder import EncoderConfig, Trunk
from cardiacnets.models.screen import Screen


def load_bundle(folder: Path, config: EncoderConfig, millivolt: Tensor) -> Screen:
    """The network of a bundle with an encoder of that configuration; `millivolt` [n,12,1000] are sample ECGs."""
    screen = Screen(config)
    values = _initializers(folder / "screen.onnx")
    named = {name.removeprefix("screen."): value for name, value in values.items()}
    for name in ("screening_head", "function_head"):
        head = screen.get_submodule(name)
        head.load_state_dict({key: named[f"{name}.{key}"] for key in head.state_dict()})
    trunk = screen.encoder.trunk
    assert isinstance(trunk, Trunk)
    _fill(trunk, named, "encoder.trunk.", millivolt)
    return screen.eval()


def load_encoder(path: Path, config: EncoderConfig, millivolt: Tensor) -> Trunk:
    """The trunk of an encoder's ONNX file (`bundle.write.export_encoder`); the rest as in `load_bundle`."""
    trunk = Trunk(config)
    _fill(trunk, _initializers(path), "trunk.", millivolt)
    return trunk.eval()


def _fill(trunk: Trunk, values: Mapping[str, Tensor], prefix: str, millivolt: Tensor) -> None:
    """Put in what an ONNX file holds under `prefix`, and what the exporter folded."""
    state = {name: values.get(f"{prefix}{name}", value) for name, value in trunk.state_dict().items()}
    (mask,) = (value for name, value in values.items() if name.startswith("onnx::MatMul"))
    state["stem_mask.weight"] = mask.T
    folded = iter([value for name, value in values.items() if name.startswith("onnx::Conv")])
    norms = []
    for convolution, norm in _pairs(trunk):
        state[f"{convolution}.weight"] = next(folded)
        state[f"{norm}.bias"] = next(folded)
        norms.append(norm)
    trunk.load_state_dict(state)
    modules = [cast(nn.BatchNorm1d, trunk.get_submodule(name)) for name in norms]
    for module in modules:
        module.reset_running_stats()
        nn.init.constant_(module.weight, (1 + module.eps) ** 0.5)
    _give_back(trunk, modules, millivolt)


def _initializers(path: Path) -> dict[str, Tensor]:
    """As float32, in the order of the convolutions; what is stored in half precision has its own name again."""
    found = {
        tensor.name.removesuffix("_half"): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
    }
    made = {name: value.float() if value.is_floating_point() else value for name, value in found.items()}

    def number(name: str) -> int:
        return int(name.rsplit("_", 1)[1]) if name.startswith("onnx::") else -1

    return {name: made[name] for name in sorted(made, key=number)}


def _pairs(trunk: Trunk) -> list[tuple[str, str]]:
    """Names of each convolution of the stages and the norm after it, in the order of the exported graph."""
    pairs = []
    for number, block in enumerate(trunk.stages):
        pairs += [(f"stages.{number}.body.{at}", f"stages.{number}.body.{at + 1}") for at in (0, 3)]
        if not isinstance(block.shortcut, nn.Identity):
            pairs.append((f"stages.{number}.shortcut.1", f"stages.{number}.shortcut.2"))
    return pairs


@torch.no_grad()
def _give_back(trunk: Trunk, norms: list[nn.BatchNorm1d], millivolt: Tensor) -> None:
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def watch(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found[norm] = inputs[0].mean(dim=(0, 2)), inputs[0].var(dim=(0, 2))

    handles = [norm.register_forward_pre_hook(watch) for norm in norms]
    trunk.eval()
    nobody = torch.zeros(len(millivolt), 4)
    trunk(millivolt, torch.ones(len(millivolt), 12), nobody, nobody)
    for handle in handles:
        handle.remove()
    for norm in norms:
        mean, variance = found[norm]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
