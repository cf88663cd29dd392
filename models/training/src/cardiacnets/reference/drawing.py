"""Time the drawing of a cine (both views) in PyTorch's eager mode: `python -m cardiacnets.reference.drawing`.

The networks have the compact sizes and random weights, on which time does not depend; sampler, schedule and sizes of
the latent are those of a bundle.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, guided, sample
from cardiacnets.models.vae import CineDecoder, Vae, VaeConfig


def seconds_per_cine(synthesis: dict[str, Any], sampler: dict[str, Any]) -> float:
    """From noise to frames, both views, after one step to warm up. `synthesis` is the manifest's."""
    schedule = ScheduleConfig(
        prediction=sampler["prediction"], zero_terminal_snr=synthesis["schedule"]["zeroTerminalSnr"]
    )
    config = DenoiserConfig(channels=synthesis["latent"]["channels"], frames=synthesis["latent"]["frames"])
    denoiser, decoder = Denoiser(config).eval(), CineDecoder(Vae(VaeConfig(channels=config.channels))).eval()
    tokens, embedding = torch.randn(1, 32, config.token_width), torch.randn(1, config.embedding)

    def draw(steps: int) -> None:
        for view in synthesis["views"].values():
            number, side = torch.tensor([view["index"]]), view["latentSize"]
            predict = guided(denoiser, tokens, embedding, number, sampler["guidance"])
            start = torch.randn(1, config.channels, config.frames, side, side)
            decoder(sample(predict, start, schedule, steps), number)

    with torch.no_grad():
        draw(1)
        started = time.perf_counter()
        draw(sampler["steps"])
        return time.perf_counter() - started


def main() -> None:
    """Print the time."""
    parser = argparse.ArgumentParser(description="seconds a cine (both views) in PyTorch's eager mode")
    parser.add_argument("--bundle", type=Path, required=True, help="folder of a bundle that draws")
    parser.add_argument("--sampler", required=True, help="one of the bundle's")
    parser.add_argument("--steps", type=int, help="default: the sampler's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    synthesis = json.loads((options.bundle / "manifest.json").read_text())["synthesis"]
    (sampler,) = (each for each in synthesis["samplers"] if each["name"] == options.sampler)
    seconds = seconds_per_cine(synthesis, sampler | ({"steps": options.steps} if options.steps else {}))
    print(json.dumps({"secondsPerCine": seconds}) if options.json else f"{seconds:.2f} s")


if __name__ == "__main__":
    main()
