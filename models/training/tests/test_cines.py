import math

import numpy as np
import pytest
import torch

from cardiacnets.data.cines import CineAugmentConfig, CineSet, draw_affine, no_affine, sample_cines


def random_frames(rows=2, side=60):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (rows, 3, side, side), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("centre", [(30, 30), (25, 33), (10, 55)])
def test_without_augmentation_the_sample_is_the_crop_around_the_heart(centre):
    frames = random_frames(1)

    sampled = sample_cines(frames, torch.tensor([centre]), no_affine(1), crop=40, size=40)

    black = np.pad(frames[0].numpy(), ((0, 0), (20, 20), (20, 20)))
    row, column = centre
    expected = torch.from_numpy(black[:, row : row + 40, column : column + 40]) / 127.5 - 1
    assert (sampled[0] - expected).abs().max() < 1e-3


def test_a_larger_input_size_is_the_bilinear_resize_of_the_crop():
    frames = random_frames(1, side=40)

    sampled = sample_cines(frames, torch.tensor([[20, 20]]), no_affine(1), crop=40, size=112)

    expected = torch.nn.functional.interpolate(frames.float(), 112, mode="bilinear", align_corners=False) / 127.5 - 1
    assert (sampled - expected)[..., 2:-2, 2:-2].abs().max() < 1e-3  # beyond the outermost pixels' middles it is black


def test_augmentation_stays_within_the_papers_ranges():
    config = CineAugmentConfig()

    affine = draw_affine(4000, config, torch.Generator().manual_seed(2))

    linear, offset = affine[:, :, :2], affine[:, :, 2]
    width, height = linear.norm(dim=1).unbind(dim=1)
    area, ratio = width * height, width / height
    assert 0.79 < area.min() < 0.81
    assert 0.98 < area.max() <= 1 + 1e-5
    assert 0.9 - 1e-5 <= ratio.min() < 0.91
    assert 1.09 < ratio.max() <= 1.1 + 1e-5
    # Columns are rotated axes times ±1: the x axis lies within 30° of itself or of its mirror image.
    turn = torch.atan(linear[:, 1, 0] / linear[:, 0, 0]).abs() * 180 / math.pi
    assert 29 < turn.max() <= 30 + 1e-3
    flipped = linear.det().sign() < 0
    assert 0.45 < flipped.float().mean() < 0.55
    assert offset.norm(dim=1).max() <= math.sqrt(2) * (1 - math.sqrt(0.8 * 0.9)) + 1e-5


def test_augmentation_is_equal_within_a_cine_and_differs_between_cines():
    frame = random_frames(1)[:, :1]
    frames = frame.expand(2, 5, -1, -1).contiguous()
    affine = draw_affine(2, CineAugmentConfig(), torch.Generator().manual_seed(3))

    sampled = sample_cines(frames, torch.tensor([[30, 30], [30, 30]]), affine, crop=40, size=40)

    assert (sampled == sampled[:, :1]).all()
    assert not torch.equal(sampled[0], sampled[1])


def test_crop_defaults_to_the_image_centre():
    cines = CineSet(random_frames(3, side=50).numpy(), np.array(["train", "val", "train"]))

    frames, centre = cines.take(cines.rows("train"))

    assert torch.equal(frames, torch.from_numpy(cines.frames[[0, 2]]))
    assert centre.tolist() == [[25, 25], [25, 25]]
