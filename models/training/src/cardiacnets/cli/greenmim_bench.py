"""How much faster the encoder is on visible patches alone: forward and backward, against the dense form.

`python -m cardiacnets.cli.greenmim_bench [--json] [--threads 1] [--bfloat16]`
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from cardiacnets.models.greenmim import GREENMIM_COMPACT, GREENMIM_PAPER, GreenMimConfig, draw_visible, visible_layout
from cardiacnets.models.swin import Partition, Swin

# Name, sizes, cines a batch, passes timed.
CASES = (
    ("compact short axis", GREENMIM_COMPACT["short_axis"], 32, 30),
    ("compact four-chamber", GREENMIM_COMPACT["four_chamber"], 32, 30),
    ("paper", GREENMIM_PAPER, 2, 5),
)


@dataclass(frozen=True)
class Row:
    """Medians of one part."""

    config: str
    part: str
    dense_ms: float
    visible_ms: float

    @property
    def ratio(self) -> float:
        """Speed-up."""
        return self.dense_ms / self.visible_ms


def measure(dense: Callable[[], Tensor], visible: Callable[[], Tensor], passes: int) -> tuple[float, float]:
    """Median milliseconds of forward and backward of each, taken in turn so that both see the same machine."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(passes + 1):
        for run, times in zip((dense, visible), taken, strict=True):
            start = time.perf_counter()
            run().sum().backward()
            if number:  # the first warms up
                times.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[0]), statistics.median(taken[1])


def bench(name: str, config: GreenMimConfig, batch: int, passes: int, bfloat16: bool) -> list[Row]:
    """The whole encoder, the masks' grouping included, and two blocks (plain and shifted windows) of each stage."""
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    model, swin = Swin(config.swin), config.swin
    image = torch.randn(batch, swin.frames, swin.image, swin.image)

    def mixed(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def under_autocast() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                return run().float()

        return under_autocast

    def of_visible() -> Tensor:
        return model(image, visible_layout(swin, draw_visible(config, generator)))

    rows = [Row(name, "encoder", *measure(mixed(lambda: model(image)), mixed(of_visible), passes))]
    layout = visible_layout(swin, draw_visible(config, generator))
    for stage in range(len(model.stages)):

        def two_blocks(pair: tuple[Partition, Partition], stage: int = stage) -> Callable[[], Tensor]:
            x = torch.randn(batch, len(pair[0].home), swin.dim << stage, requires_grad=True)
            first, second = list(model.stages[stage].children())[:2]
            return mixed(lambda: second(first(x, pair[0]), pair[1]))

        dense, visible = model.dense.stages[stage], layout.stages[stage]
        groups = "×".join(map(str, visible[0].slots.shape))
        part = f"stage {stage + 1}: {swin.grid(stage)}² tokens, {swin.dim << stage} channels, groups {groups}"
        rows.append(Row(name, part, *measure(two_blocks(dense), two_blocks(visible), passes)))
    return rows


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [row for case in CASES for row in bench(*case, options.bfloat16)]
    if options.json:
        print(json.dumps([asdict(row) | {"ratio": row.ratio} for row in rows], indent=1))
        return
    for row in rows:
        print(f"{row.config:<21} {row.part:<56} {row.dense_ms:8.1f} → {row.visible_ms:7.1f} ms  {row.ratio:.2f}×")


if __name__ == "__main__":
    main()
