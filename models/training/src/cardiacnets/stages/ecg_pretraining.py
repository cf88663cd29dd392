"""Stage `ecg`: the ECG encoder by masked modelling, on real and virtual ECGs without labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.configuration import to_json
from cardiacnets.device import device, generator_of
from cardiacnets.models.augment import gain_and_noise
from cardiacnets.models.ecg_mim import EcgMimConfig
from cardiacnets.models.trunks import AnyTrunk, MaskedConfig, make_masked, make_trunk, trunk_config
from cardiacnets.stages.loop import OptimisationConfig, rows_of_step, run


@dataclass(frozen=True)
class EcgPretrainingConfig:
    """Everything that decides the weights, but the ECGs."""

    batch: int = 64
    """From each source by turns: real and virtual ECGs weigh the same, however many there are of either."""
    lead_dropout: float = 0.5
    validation_ecgs: int = 512
    mim: MaskedConfig = field(default_factory=EcgMimConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)


@dataclass(frozen=True)
class EcgSource:
    """ECGs of one origin: mV [n,12,T] at the trunk's rate, and the rows to learn from and to validate on."""

    name: str
    millivolt: NDArray[np.floating]
    train: NDArray[np.intp]
    validation: NDArray[np.intp]


def pretrain_ecg(config: EcgPretrainingConfig, sources: Sequence[EcgSource], out_dir: Path) -> Path:
    """Train, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`).

    The log has the loss on each source's validation ECGs, with the same parts hidden each time.
    """
    optimisation = config.optimisation
    torch.manual_seed(optimisation.seed)
    model = make_masked(config.mim)

    def take(source: EcgSource, rows: NDArray[np.intp]) -> torch.Tensor:
        return torch.from_numpy(source.millivolt[rows].astype(np.float32))

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        turn, source = divmod(step, len(sources))
        chosen = sources[source]
        rows = rows_of_step(chosen.train, config.batch, turn, optimisation.seed)
        ecg = gain_and_noise(take(chosen, rows), 0.15, 0.0, generator)
        return model.loss(ecg.to(device()), config.lead_dropout, generator)

    def validate() -> dict[str, float]:
        figures = {}
        for source in sources:
            generator, total = generator_of(0), 0.0
            chosen = source.validation[: config.validation_ecgs]
            for start in range(0, len(chosen), config.batch):
                ecg = take(source, chosen[start : start + config.batch])
                total += len(ecg) * model.loss(ecg.to(device()), 0.0, generator).item()
            if len(chosen):
                figures[source.name] = total / len(chosen)
        return figures

    described = to_json(config)
    return run("ecg_pretraining", optimisation, described, model, loss_of, validate, out_dir)


def load_pretrained_trunk(path: Path) -> AnyTrunk:
    """The trunk of `model.pt`."""
    state = torch.load(path, weights_only=True)
    trunk = make_trunk(trunk_config(state["config"]["mim"]["encoder"]))
    prefix = "trunk."
    trunk.load_state_dict({k.removeprefix(prefix): v for k, v in state["model"].items() if k.startswith(prefix)})
    return trunk
