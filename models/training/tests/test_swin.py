import pytest
import torch

from cardiacnets.models.swin import (
    SWIN_COMPACT,
    PatchMerging,
    Swin,
    SwinConfig,
    WindowAttention,
    dense_partition,
    token_position,
)


def rolled_attention(attention, image, window, shift):
    """Shifted-window attention as the Swin paper has it, on [N,H,W,C]: roll, cut, mask by region, roll back."""
    rows, grid, _, channels = image.shape
    region = torch.zeros(grid, dtype=torch.int64)
    if shift:
        region[-window:] = 1
        region[-shift:] = 2
    label = region[:, None] * 3 + region

    def cut(x):
        across = grid // window
        x = x.view(-1, across, window, across, window, x.shape[-1]).transpose(2, 3)
        return x.reshape(-1, across**2, window**2, x.shape[-1])

    tokens = cut(torch.roll(image, (-shift, -shift), dims=(1, 2)))
    label = cut(label[None, ..., None]).squeeze(-1).squeeze(0)
    heads = attention.heads
    query, key, value = (
        part.view(*tokens.shape[:3], heads, -1).transpose(2, 3) for part in attention.qkv(tokens).chunk(3, dim=-1)
    )
    weight = query @ key.mT / query.shape[-1] ** 0.5
    for a in range(window**2):
        for b in range(window**2):
            down, right = a // window - b // window, a % window - b % window
            row = (down + window - 1) * (2 * window - 1) + right + window - 1
            weight[..., a, b] += attention.position[row]
    weight[:, (label[:, :, None] != label[:, None, :])[:, None].expand(-1, heads, -1, -1)] = -torch.inf
    mixed = attention.project((weight.softmax(-1) @ value).transpose(2, 3).flatten(3))
    across = grid // window
    mixed = mixed.view(rows, across, across, window, window, channels).transpose(2, 3)
    return torch.roll(mixed.reshape(rows, grid, grid, channels), (shift, shift), dims=(1, 2))


@pytest.mark.parametrize(("grid", "window", "shift"), [(20, 5, 0), (20, 5, 2), (12, 6, 3), (14, 7, 3), (6, 6, 0)])
@torch.no_grad()
def test_dense_partition_equals_the_shifted_windows_of_the_swin_paper(grid, window, shift):
    torch.manual_seed(1)
    attention = WindowAttention(16, 2, window)
    torch.nn.init.normal_(attention.position)
    picture = torch.randn(2, grid, grid, 16)
    position = torch.cartesian_prod(torch.arange(grid), torch.arange(grid))[torch.randperm(grid**2)]

    ours = attention(picture[:, position[:, 0], position[:, 1]], dense_partition(position, grid, window, shift))

    expected = rolled_attention(attention, picture, window, shift)[:, position[:, 0], position[:, 1]]
    assert (ours - expected).abs().max() < 1e-5


@pytest.mark.parametrize("stage", [0, 1])
def test_four_consecutive_tokens_merge_into_one_of_the_next_stage(stage):
    config = SWIN_COMPACT["four_chamber"]
    units = torch.tensor([3, 0, 35])

    fine = token_position(config, units, stage).view(-1, 4, 2)
    coarse = token_position(config, units, stage + 1)

    offset = fine - 2 * coarse[:, None]
    assert (offset == torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])).all()


def test_merging_joins_the_channels_of_four_tokens():
    merge = PatchMerging(4)
    tokens = torch.randn(2, 8, 4)

    merged = merge(tokens)

    expected = merge.reduce(merge.norm(torch.cat([tokens[:, number::4] for number in range(4)], dim=-1)))
    assert torch.equal(merged, expected)


def test_subset_of_patches_has_the_same_embedding():
    model = Swin(SwinConfig(image=32, frames=3, window=2, dim=8, depths=(1, 1), heads=(1, 1)))
    cine = torch.randn(2, 3, 32, 32)
    some = torch.tensor([3, 0, 41])

    embedded = model.patches(cine, model.dense.position[some])

    assert (embedded - model.patches(cine, model.dense.position)[:, some]).abs().max() < 1e-5


@pytest.mark.parametrize("view", SWIN_COMPACT)
def test_compact_encoder_gives_one_token_per_mask_unit(view):
    config = SWIN_COMPACT[view]
    model = Swin(config)

    tokens = model(torch.randn(1, 50, config.image, config.image))

    assert tokens.shape == (1, config.units, 192)
    assert config.embedding == 2 * (48 + 96 + 192)
    assert model.embedding(torch.randn(2, 50, config.image, config.image)).shape == (2, config.embedding)


@pytest.mark.parametrize("sizes", [{"image": 84}, {"window": 4}, {"depths": (2, 2)}])
def test_sizes_that_do_not_divide_are_refused(sizes):
    with pytest.raises(ValueError, match=r"multiple|each a stage"):
        SwinConfig(**sizes)
