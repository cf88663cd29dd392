"""Stage `segmentation`: a U-Net for one view, from virtual frames and their masks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from cardiacnets.configuration import to_json
from cardiacnets.data.augment_frames import FrameAugmentConfig, augment_frames
from cardiacnets.data.cmr_preparation import Segmenter
from cardiacnets.data.segmentation_frames import FrameSet
from cardiacnets.device import device
from cardiacnets.models.unet import UNet, UNetConfig, standardise
from cardiacnets.stages.loop import OptimisationConfig, rows_of_step, run

VALIDATED = 96  # frames


@dataclass(frozen=True)
class SegmentationConfig:
    """Everything that decides the weights, but the frames."""

    batch: int = 12
    size: int = 128
    """Side of the training crops, pixels."""
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(steps=1500, learning_rate=2e-3, weight_decay=0.01, save_every=100)
    )
    unet: UNetConfig = field(default_factory=UNetConfig)
    augment: FrameAugmentConfig = field(default_factory=FrameAugmentConfig)


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy and soft Dice, in equal parts. [N,C,H,W], int64 [N,H,W] → scalar."""
    share = logits.softmax(dim=1)
    truth = F.one_hot(labels, logits.shape[1]).permute(0, 3, 1, 2).to(share.dtype)
    both, either = (share * truth).sum(dim=(0, 2, 3)), (share + truth).sum(dim=(0, 2, 3))
    overlap = (2 * both + 1) / (either + 1)  # [C]: over the batch, so that a frame without a label says nothing
    return F.cross_entropy(logits, labels) + 1 - overlap[1:].mean()


def train_segmentation(config: SegmentationConfig, frames: FrameSet, out_dir: Path) -> Path:
    """Train on the split `train`, or go on from `out_dir/checkpoint.pt`; returns `out_dir/model.pt`.

    Validated by Dice on frames that nobody changed; deterministic by seed on one machine and thread count.

    Raises:
        ValueError: the checkpoint was made with another configuration, or no frame is for training or validation.
    """
    torch.manual_seed(config.optimisation.seed)
    model = UNet(config.unet).to(memory_format=torch.channels_last)
    train, validation = frames.part("train"), frames.part("val")
    if not len(train.image) or not len(validation.image):
        raise ValueError("segmentation needs frames of training and of validation people")
    numbers = np.arange(len(train.image))

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        rows = rows_of_step(numbers, config.batch, step, config.optimisation.seed)
        image, mask = torch.from_numpy(train.image[rows]), torch.from_numpy(train.mask[rows])
        with torch.autocast("cpu", enabled=False):  # a picture blurred in bfloat16 has eight bits left
            image, labels = augment_frames(image, mask, config.size, config.augment, generator)
            image = standardise(image).to(memory_format=torch.channels_last)
        return segmentation_loss(model(image.to(device())).float(), labels.to(device()))

    def validate() -> dict[str, float]:
        found, truth = segment(model, validation.image[:VALIDATED]), validation.mask[:VALIDATED]
        scores = [dice(found == label, truth == label) for label in range(1, config.unet.classes)]
        return {"dice": float(np.mean(scores))}

    described = to_json(config)
    return run("segmentation", config.optimisation, described, model, loss_of, validate, out_dir)


def load_unet(path: Path) -> UNet:
    """The network of `model.pt`."""
    state = torch.load(path, weights_only=True)
    sizes = dict(state["config"]["unet"])
    sizes["widths"] = tuple(sizes["widths"])
    model = UNet(UNetConfig(**sizes))
    model.load_state_dict(state["model"])
    return model.requires_grad_(False).eval()


def load_segmenter(path: Path) -> Segmenter:
    """The network of `model.pt` as a function of frames [n, H, W] at the cohort's spacing."""
    model = load_unet(path).to(device()).to(memory_format=torch.channels_last)
    return lambda frames: segment(model, frames)


@torch.no_grad()
def segment(model: UNet, frames: NDArray[Any], batch: int = 16) -> NDArray[np.uint8]:
    """Labels [n, H, W] of frames [n, H, W]; of several pieces in a frame the largest is the heart."""
    model.eval()
    multiple = 2 ** len(model.config.widths)
    height, width = frames.shape[1:]
    labels = np.zeros(frames.shape, dtype=np.uint8)
    for start in range(0, len(frames), batch):
        rows = slice(start, start + batch)
        image = standardise(torch.from_numpy(np.asarray(frames[rows], dtype=np.float32))[:, None])
        # What lies beyond the border is unknown: repeat the border rather than draw an edge.
        image = F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        image = image.to(next(model.parameters()).device, memory_format=torch.channels_last)
        best = model(image).argmax(dim=1)[:, :height, :width]
        labels[rows] = best.to(torch.uint8).cpu().numpy()
    return np.stack([_largest_piece(frame) for frame in labels])


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Overlap 2|A∩B| / (|A| + |B|); 1 when both are empty."""
    both = np.count_nonzero(found) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(found & truth) / both if both else 1.0


def _largest_piece(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pieces, count = ndimage.label(labels > 0)
    if count < 2:
        return labels
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.where(pieces == sizes.argmax(), labels, 0).astype(np.uint8)
