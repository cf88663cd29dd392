"""Stage `cmr_pretraining`: a Swin for one CMR view, by GreenMIM on cines without labels."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from cardiacnets.configuration import from_json, to_json
from cardiacnets.data.cines import CROP, CineAugmentConfig, CineSet, draw_affine, plain_batches, sample_cines
from cardiacnets.device import device, generator_of
from cardiacnets.domain import View
from cardiacnets.models.greenmim import GREENMIM_COMPACT, GREENMIM_PAPER, GreenMim, GreenMimConfig, draw_visible
from cardiacnets.models.swin import Swin, SwinConfig
from cardiacnets.stages.loop import OptimisationConfig, rows_of_step, run


@dataclass(frozen=True)
class CmrPretrainingConfig:
    """Everything that decides the weights, but the cines."""

    crop: int = CROP["short_axis"]
    batch: int = 16
    masks: int = 2
    """Masks that a cine is shown under in one step: to cut a cine to the heart costs half as much as to learn from it
    (repeated sampling, Feichtenhofer et al. 2022, arXiv 2205.09113)."""
    validation_cines: int = 256
    mim: GreenMimConfig = field(default_factory=GreenMimConfig)
    augment: CineAugmentConfig = field(default_factory=CineAugmentConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)


def compact(view: View) -> CmrPretrainingConfig:
    """What trains on two CPU cores."""
    return CmrPretrainingConfig(CROP[view], mim=GREENMIM_COMPACT[view])


def paper(view: View) -> CmrPretrainingConfig:
    """Swin-B at 224 px."""
    return CmrPretrainingConfig(CROP[view], batch=64, masks=1, mim=GREENMIM_PAPER)


def pretrain_cmr(config: CmrPretrainingConfig, cines: CineSet, out_dir: Path) -> Path:
    """Train on the split `train`, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`).

    The log's `masked` is the loss on validation cines, without augmentation and with the same masks each time.
    """
    optimisation, size = config.optimisation, config.mim.swin.image
    torch.manual_seed(optimisation.seed)
    model = GreenMim(config.mim)
    train, validation = cines.rows("train"), cines.rows("val")[: config.validation_cines]

    def loss_of(step: int, generator: torch.Generator) -> torch.Tensor:
        frames, centre = cines.take(rows_of_step(train, config.batch, step, optimisation.seed))
        affine = draw_affine(len(frames), config.augment, generator)
        image = sample_cines(frames.to(device()), centre, affine, config.crop, size)
        losses = [model.loss(image, draw_visible(config.mim, generator)) for _ in range(config.masks)]
        return torch.stack(losses).mean()

    def validate() -> dict[str, float]:
        generator, total = generator_of(0), 0.0
        for image in plain_batches(cines, validation, config.crop, size, config.batch):
            total += len(image) * model.loss(image, draw_visible(config.mim, generator)).item()
        return {"masked": total / len(validation)} if len(validation) else {}

    return run("cmr_pretraining", optimisation, to_json(config), model, loss_of, validate, out_dir)


def load_encoder(path: Path) -> Swin:
    """The encoder of `model.pt`, frozen and in evaluation mode."""
    state = torch.load(path, weights_only=True)
    encoder = Swin(from_json(SwinConfig, state["config"]["mim"]["swin"]))
    prefix = "encoder."
    own = {name.removeprefix(prefix): value for name, value in state["model"].items() if name.startswith(prefix)}
    encoder.load_state_dict(own)
    return encoder.requires_grad_(False).eval()
