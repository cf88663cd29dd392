"""The segmentation network learns, goes on after a stop, and its augmentation keeps picture and mask together."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data.augment_frames import FrameAugmentConfig, augment_frames
from cardiacnets.data.segmentation_frames import FRAMES_A_PERSON, FrameSet, load_frames
from cardiacnets.models.unet import UNet, UNetConfig, standardise
from cardiacnets.stages import loop
from cardiacnets.stages.loop import OptimisationConfig
from cardiacnets.stages.segmentation import SegmentationConfig, dice, load_segmenter, segment, train_segmentation

TINY = SegmentationConfig(
    batch=8,
    size=32,
    optimisation=OptimisationConfig(steps=24, learning_rate=1e-2, save_every=8),
    unet=UNetConfig(classes=2, widths=(8, 16), groups=4),
    augment=FrameAugmentConfig(
        scale=1.2, bend_px=1, tissue=0.1, surroundings=0, coil=0.1, gamma=0.1, inversion=0, noise=0.05, artefact=0
    ),
)


def tiny(**changes) -> SegmentationConfig:
    return replace(TINY, optimisation=replace(TINY.optimisation, **changes))


@pytest.fixture
def discs() -> FrameSet:
    """Bright discs on a dark ground."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:40, :40]
    mask = np.stack(
        [np.hypot(rows - y, columns - x) < r for y, x, r in rng.uniform((12, 12, 5), (28, 28, 10), (60, 3))]
    ).astype(np.uint8)
    image = (60 + 120 * mask + rng.normal(0, 8, mask.shape)).astype(np.uint8)
    return FrameSet(image, mask, np.repeat(["train", "val", "test"], [40, 10, 10]))


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_loss_falls_and_discs_are_found(tmp_path, discs):
    model = train_segmentation(tiny(steps=56), discs, tmp_path)

    losses = [line["loss"] for line in lines(tmp_path)]
    assert losses[-1] < 0.6 * losses[0]
    test = discs.part("test")
    assert dice(load_segmenter(model)(test.image) == 1, test.mask == 1) > 0.8


def test_interrupted_run_ends_with_the_same_weights(tmp_path, discs, monkeypatch):
    whole = torch.load(train_segmentation(TINY, discs, tmp_path / "whole"), weights_only=True)["model"]
    broken = tmp_path / "broken"
    save = loop.save

    def save_and_die(path, state):
        save(path, state)
        if state.get("step") == 16:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train_segmentation(TINY, discs, broken)
    monkeypatch.undo()
    resumed = torch.load(train_segmentation(TINY, discs, broken), weights_only=True)["model"]

    assert [line["step"] for line in lines(broken)] == [8, 16, 24]
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight, rtol=0, atol=0)


def test_checkpoint_of_another_configuration_is_not_resumed(tmp_path, discs):
    train_segmentation(tiny(steps=2), discs, tmp_path)

    with pytest.raises(ValueError, match="another configuration"):
        train_segmentation(tiny(steps=2, seed=2), discs, tmp_path)


def test_network_accepts_any_side_and_intensity_unit(discs):
    torch.manual_seed(0)
    model = UNet(UNetConfig(classes=4, widths=(8, 16, 16), groups=4))
    frames = np.random.default_rng(1).uniform(0, 200, (2, 50, 61)).astype(np.float32)

    labels = segment(model, frames)

    assert labels.shape == frames.shape
    np.testing.assert_array_equal(segment(model, frames * 8), labels)


def test_standardised_image_is_independent_of_gain_and_offset():
    image = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(2))

    torch.testing.assert_close(standardise(40 * image + 7), standardise(image), rtol=1e-4, atol=1e-4)


def test_augmentation_moves_the_mask_with_the_image(discs):
    image, mask = torch.from_numpy(discs.image), torch.from_numpy(discs.mask)
    shape_only = FrameAugmentConfig(
        tissue=0, surroundings=0, coil=0, gamma=0, inversion=0, blur_px=0, noise=0, artefact=0, field_of_view=0
    )

    moved, labels = augment_frames(image, mask, 32, shape_only, torch.Generator().manual_seed(4))

    assert moved.shape == (60, 1, 32, 32)
    bright = moved[:, 0] > 120 / 255
    assert dice(bright.numpy(), labels.numpy() == 1) > 0.93


def test_augmentation_depends_only_on_the_generator(discs):
    image, mask = torch.from_numpy(discs.image), torch.from_numpy(discs.mask)

    first, _ = augment_frames(image, mask, 32, FrameAugmentConfig(), torch.Generator().manual_seed(4))
    second, _ = augment_frames(image, mask, 32, FrameAugmentConfig(), torch.Generator().manual_seed(4))

    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert torch.isfinite(first).all()


def test_frames_are_rendered_once_and_split_by_person(tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path))
    monkeypatch.setattr("cardiacnets.data.segmentation_frames.SHARD_PEOPLE", 3)

    drawn = load_frames("short_axis", 5, seed=3, size=64)
    monkeypatch.setattr("cardiacnets.data.segmentation_frames._render", None)
    again = load_frames("short_axis", 5, seed=3, size=64)

    assert drawn.image.shape == (5 * FRAMES_A_PERSON, 64, 64)
    np.testing.assert_array_equal(drawn.image, again.image)
    for person in np.split(drawn.split, 5):
        assert len(set(person)) == 1
