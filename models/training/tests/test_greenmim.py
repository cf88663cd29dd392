import itertools
from dataclasses import replace

import pytest
import torch

from cardiacnets.models.greenmim import (
    GreenMim,
    GreenMimConfig,
    attention_cost,
    best_fill,
    draw_visible,
    group_partition,
    group_windows,
    visible_layout,
)
from cardiacnets.models.swin import SWIN_COMPACT, SWIN_PAPER, Layout, Swin, SwinConfig, WindowAttention

TINY = GreenMimConfig(
    SwinConfig(image=48, frames=4, window=3, dim=16, depths=(2, 2, 2), heads=(1, 2, 4)), decoder_dim=32, target_frames=2
)


def masked_attention(attention, tokens, position, window, shift):
    """Attention of all tokens [N,T,C] at once; pairs of other windows are masked. Windows by the definition."""
    count = len(position)
    query, key, value = (
        part.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for part in attention.qkv(tokens).chunk(3, dim=-1)
    )
    bias = torch.full((attention.heads, count, count), -torch.inf)
    for a, b in itertools.product(range(count), repeat=2):
        (row_a, column_a), (row_b, column_b) = position[a].tolist(), position[b].tolist()
        same_row = (row_a - shift) // window == (row_b - shift) // window
        if same_row and (column_a - shift) // window == (column_b - shift) // window:
            step = (row_a - row_b + window - 1) * (2 * window - 1) + column_a - column_b + window - 1
            bias[:, a, b] = attention.position[step]
    weight = query @ key.mT / query.shape[-1] ** 0.5 + bias
    return attention.project((weight.softmax(-1) @ value).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("visible_share", [0.1, 0.25, 0.6])
@pytest.mark.parametrize(("grid", "window"), [(20, 5), (24, 6), (14, 7), (10, 5)])
@torch.no_grad()
def test_group_attention_equals_masked_attention_on_the_same_visible_tokens(grid, window, visible_share, shifted):
    torch.manual_seed(2)
    attention = WindowAttention(24, 3, window)
    torch.nn.init.normal_(attention.position)
    seen = torch.rand(grid // 2, grid // 2).repeat_interleave(2, 0).repeat_interleave(2, 1) < visible_share
    position = seen.nonzero()[torch.randperm(int(seen.sum()))]
    tokens = torch.randn(2, len(position), 24)
    shift = window // 2 if shifted else 0

    grouped = attention(tokens, group_partition(position, window, shift))

    expected = masked_attention(attention, tokens, position, window, shift)
    assert (grouped - expected).abs().max() < 1e-5


@pytest.mark.parametrize("view", SWIN_COMPACT)
def test_encoder_of_visible_tokens_equals_a_dense_one_with_masks(view):
    torch.manual_seed(3)
    config = SWIN_COMPACT[view]
    model = Swin(config)
    for parameter in filter(lambda parameter: parameter.dim() > 1, model.parameters()):
        torch.nn.init.normal_(parameter, std=0.1)
    image = torch.randn(2, 50, config.image, config.image, requires_grad=True)
    visible = draw_visible(GreenMimConfig(config), torch.Generator().manual_seed(4))

    sparse = model(image, visible_layout(config, visible))
    dense = model(image, masked_dense_layout(model.dense, config, visible))[:, visible]

    assert (sparse - dense).abs().max() < 1e-5 * dense.abs().max()
    towards = torch.randn_like(sparse)
    of_sparse, of_dense = (torch.autograd.grad(out, image, towards)[0] for out in (sparse, dense))
    assert (of_sparse - of_dense).abs().max() < 1e-5 * of_dense.abs().max()


def masked_dense_layout(dense, config, visible):
    """All tokens, but attended to only where they are visible (and by themselves, as a softmax needs something)."""
    stages = []
    for stage, pair in enumerate(dense.stages):
        seen = torch.zeros(config.units, dtype=torch.bool)
        seen[visible] = True
        seen = seen.repeat_interleave(4 ** (len(config.depths) - 1 - stage))
        masked = []
        for partition in pair:
            size = partition.slots.shape[1]
            unseen = ~seen[partition.slots].unsqueeze(1) & ~torch.eye(size, dtype=torch.bool)
            apart = unseen if partition.apart is None else partition.apart | unseen
            masked.append(replace(partition, apart=apart))
        stages.append(tuple(masked))
    return Layout(dense.position, tuple(stages))


def test_masked_patches_do_not_reach_the_prediction():
    torch.manual_seed(5)
    model = GreenMim(TINY)
    image = torch.randn(2, 4, 48, 48)
    changed = image.clone()
    changed[:, :, 16:32, 16:32] += 10  # unit 4
    visible = torch.tensor([0, 8])

    masked, drawn = model(image, visible)

    assert masked.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert drawn.shape == (2, 7, 2 * 8 * 8)
    assert torch.equal(drawn, model(changed, visible)[1])


def test_reconstruction_target_averages_frames_and_pixels_and_emphasises_motion():
    image = torch.randn(2, 4, 48, 48)
    unit = torch.tensor([5])  # rows 16 to 31, columns 32 to 47

    drawn = GreenMim(TINY).targets(image, unit).view(2, 2, 8, 8)
    normalised = GreenMim(replace(TINY, normalise_target=True)).targets(image, unit)

    still = image[1, :, 20:22, 38:40].mean()
    expected = still + TINY.motion * (image[1, :2, 20:22, 38:40].mean() - still)
    assert torch.allclose(drawn[1, 0, 2, 3], expected, atol=1e-5)
    assert normalised.mean(-1).abs().max() < 1e-5
    assert (normalised.var(-1, correction=0) - 1).abs().max() < 1e-3
    with pytest.raises(ValueError, match="multiples"):
        replace(TINY, target_frames=3)


def test_best_fill_equals_the_best_of_all_subsets():
    generator = torch.Generator().manual_seed(6)
    for _ in range(50):
        sizes = torch.randint(1, 20, (8,), generator=generator).tolist()
        room = int(torch.randint(0, 60, (1,), generator=generator))

        chosen = best_fill(sizes, room)

        every = itertools.chain.from_iterable(itertools.combinations(sizes, n) for n in range(len(sizes) + 1))
        assert sum(sizes[index] for index in chosen) == max(sum(subset) for subset in every if sum(subset) <= room)


def partitions(items):
    """Every partition of `items` into groups."""
    if not items:
        yield []
        return
    for rest in partitions(items[1:]):
        yield [[items[0]], *rest]
        for index in range(len(rest)):
            yield [*rest[:index], [items[0], *rest[index]], *rest[index + 1 :]]


def test_grouping_is_as_cheap_as_the_best_of_all_groupings():
    generator = torch.Generator().manual_seed(7)
    for _ in range(40):
        counts = torch.randint(1, 26, (6,), generator=generator).tolist()

        groups = group_windows(counts)

        assert sorted(itertools.chain.from_iterable(groups)) == list(range(6))
        assert cost_of(counts, groups) == min(cost_of(counts, every) for every in partitions(list(range(6))))


def cost_of(counts, groups):
    return attention_cost(len(groups), max(sum(counts[window] for window in group) for group in groups))


@pytest.mark.parametrize(("swin", "kept"), [(SWIN_PAPER, 12), (SWIN_COMPACT["short_axis"], 6)])
def test_three_quarters_of_the_units_are_masked(swin, kept):
    config = GreenMimConfig(swin)
    generator = torch.Generator().manual_seed(8)

    first, second = draw_visible(config, generator), draw_visible(config, generator)

    assert len(first) == len(second) == kept
    assert first.tolist() != second.tolist()
