"""Stage `cmr`: a Swin for each CMR view, on cines without labels.

Both views learn together, as in the authors' code (CL-GreenMIM): masked modelling (GreenMIM) of each, and InfoNCE
between the views of a person. One view alone learns by masked modelling (`pretrain_cmr`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from cardiacnets.configuration import from_json, to_json
from cardiacnets.data.cines import CROP, CineAugmentConfig, CineSet, draw_affine, plain_batches, sample_cines
from cardiacnets.device import device, generator_of, process
from cardiacnets.domain import VIEWS, View
from cardiacnets.metrics import retrieval_rank
from cardiacnets.models.greenmim import GREENMIM_COMPACT, GREENMIM_PAPER, GreenMim, GreenMimConfig, draw_visible
from cardiacnets.models.swin import Swin, SwinConfig
from cardiacnets.stages.contrastive import Projection, info_nce
from cardiacnets.stages.loop import (
    OptimisationConfig,
    first_process_first,
    of_all_processes,
    rows_of_step,
    run,
    save_model,
)


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


@dataclass(frozen=True)
class ViewsConfig:
    """Everything that decides the weights of both views' encoders, but the cines."""

    views: Mapping[View, CmrPretrainingConfig] = field(default_factory=lambda: {view: compact(view) for view in VIEWS})
    """Their `batch`, `masks` and `optimisation` are not used."""
    batch: int = 32
    contrast: Literal["whole", "seen"] = "whole"
    """What of a cine is compared with the other view: all of it, or the units that masked modelling sees (the authors';
    a step then passes each cine once)."""
    masked: int = 8
    """Cines of a batch and view whose masked parts are drawn, where whole cines are compared."""
    norm: Literal["batch", "layer"] = "batch"
    """Before the projection: each feature by its mean and deviation in the batch, or each cine by those of its features
    (the authors'). All hearts look alike, and a layer norm leaves them so: the contrast then falls from 3.47 to 3.43 in
    its first 47 steps, with a batch norm to 2.0 in 60."""
    masked_weight: float = 1.0
    temperature: float = 0.1
    projection: int = 128
    validation_cines: int = 128
    augment: CineAugmentConfig = field(
        default_factory=lambda: CineAugmentConfig(rotation_deg=10.0, flip=0.0, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    )
    """Both views keep their scale and their sides: a heart's size is most of what they share, and the indices are those
    of named walls."""
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)


class Views(nn.Module):
    """What is trained: for each view an encoder with its decoder, and a projection."""

    def __init__(self, config: ViewsConfig) -> None:
        super().__init__()
        self.config = config
        self.mim = nn.ModuleDict({view: GreenMim(own.mim) for view, own in config.views.items()})
        self.project = nn.ModuleDict({view: self._projection(own.mim.swin) for view, own in config.views.items()})

    def _projection(self, swin: SwinConfig) -> nn.Module:
        width = swin.embedding
        norm = nn.LayerNorm(width) if self.config.norm == "layer" else nn.BatchNorm1d(width, affine=False)
        return nn.Sequential(norm, Projection(width, self.config.projection))

    def of(self, view: View) -> GreenMim:
        """A view's network."""
        network = self.mim[view]
        assert isinstance(network, GreenMim)
        return network

    def point(self, view: View, image: Tensor) -> Tensor:
        """[N,F,H,W] → unit vectors [N,projection]."""
        points: Tensor = self.project[view](self.of(view).encoder.embedding(image))
        return points


def pretrain_views(config: ViewsConfig, cines: Mapping[View, CineSet], out_dir: Path) -> dict[View, Path]:
    """Train both views' encoders on the split `train`, or go on; returns `out_dir/VIEW/model.pt` of each.

    The log's `VIEW.masked` is as in `pretrain_cmr`; `medianRank` is that of a validation person's four-chamber cine
    among all of them, looked for by the short axis.
    """
    optimisation = config.optimisation
    torch.manual_seed(optimisation.seed)
    model, some = Views(config), next(iter(cines.values()))
    train, validation = some.rows("train"), some.rows("val")[: config.validation_cines]

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        rows = rows_of_step(train, config.batch, step, optimisation.seed)
        points, losses = [], []
        for view, own in config.views.items():
            frames, centre = cines[view].take(rows)
            affine = draw_affine(len(rows), config.augment, generator)
            image = sample_cines(frames.to(device()), centre, affine, own.crop, own.mim.swin.image)
            visible = draw_visible(own.mim, generator)
            if config.contrast == "seen":
                masked, embedding = model.of(view).loss_and_embedding(image, visible)
                points.append(of_all_processes(model.project[view](embedding)))
            else:
                points.append(of_all_processes(model.point(view, image)))
                masked = model.of(view).loss(image[: config.masked], visible)
            losses.append(config.masked_weight * masked)
        return torch.stack([info_nce(points[0], points[1], config.temperature), *losses]).sum()

    def validate() -> dict[str, float]:
        if not len(validation):
            return {}
        figures, points = {}, []
        for view, own in config.views.items():
            generator, total, parts = generator_of(0), 0.0, []
            for image in plain_batches(cines[view], validation, own.crop, own.mim.swin.image, config.batch):
                total += len(image) * model.of(view).loss(image, draw_visible(own.mim, generator)).item()
                parts.append(model.point(view, image).cpu().numpy())
            figures[f"{view}.masked"] = total / len(validation)
            points.append(np.concatenate(parts))
        return figures | {"medianRank": float(np.median(retrieval_rank(points[0], points[1])))}

    joint = run("cmr", optimisation, to_json(config), model, loss_of, validate, out_dir / "views")
    paths = {view: out_dir / view / "model.pt" for view in config.views}
    with first_process_first():
        if process()[0] == 0:
            state = torch.load(joint, weights_only=True)["model"]
            for view, own in config.views.items():
                prefix = f"mim.{view}."
                paths[view].parent.mkdir(parents=True, exist_ok=True)
                weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
                described = replace(own, augment=config.augment, optimisation=optimisation)
                save_model(paths[view], to_json(described), weights)
    return paths


def load_encoder(path: Path) -> Swin:
    """The encoder of `model.pt`, frozen and in evaluation mode."""
    state = torch.load(path, weights_only=True)
    encoder = Swin(from_json(SwinConfig, state["config"]["mim"]["swin"]))
    prefix = "encoder."
    own = {name.removeprefix(prefix): value for name, value in state["model"].items() if name.startswith(prefix)}
    encoder.load_state_dict(own)
    return encoder.requires_grad_(False).eval()
