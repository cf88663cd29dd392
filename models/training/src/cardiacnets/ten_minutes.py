"""Better cines in the time that one large GPU is lent: the kept denoiser learns on, and what it became is exported.

    people, latents, conditions ─ denoiser, from the kept weights ─ a bundle beside the shipped one

The first part is kept, so that a second call has all of its time for training. A call that was killed, and one that
ended, is gone on from.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import torch

from cardiacnets.configuration import from_json
from cardiacnets.device import device
from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.stages.diffusion import load_denoiser, train_diffusion, validation_errors
from cardiacnets.synthesis.export import export_drawing
from cardiacnets.synthesis.report import SynthesisReportConfig
from cardiacnets.weights import adopt

if TYPE_CHECKING:
    from cardiacnets.programme import Run

ANY = 10_000_000
"""Steps: the clock ends the training."""
LEAST = 0.1
"""Of the time: with less left, nothing is trained."""
STEPS_BETWEEN = 200
"""Of training, between two checkpoints."""
AVERAGE = 0.999
"""Decay of the weights' average: many more steps than on a CPU."""
PART = "ema."
BEFORE = "before.pt"


class TimeIsUpError(RuntimeError):
    """The preparation took the time that there was."""

    code = "time-is-up"


class NotBetterError(RuntimeError):
    """The time was too short for the denoiser to gain anything."""

    code = "not-better"


@dataclass(frozen=True)
class Budget:
    """How long, and for what."""

    seconds: float
    batch: int = 96
    """Cines a step."""
    learning_rate: float = 1e-3
    even_if_worse: bool = False
    """Export a denoiser whose error on validation people has not fallen."""


def last_denoiser(run: "Run") -> Denoiser:
    """What a call before left, as far as it came; else what the repository keeps.

    Raises:
        ValueError: neither is there.
    """
    for name in ("model.pt", "checkpoint.pt", BEFORE):
        path = run.folder / "diffusion" / name
        if path.exists():
            state = torch.load(path, weights_only=True, map_location="cpu")
            network = Denoiser(from_json(DenoiserConfig, state["config"]["denoiser"]))
            own = {key.removeprefix(PART): value for key, value in state["model"].items() if key.startswith(PART)}
            network.load_state_dict(own)
            return network
    if not adopt("diffusion", run.folder / "kept"):
        raise ValueError("the repository keeps no denoiser to go on from: `cardiacnets-train train --stage diffusion`")
    return load_denoiser(run.folder / "kept" / "diffusion" / "model.pt")[0]


def ten_minutes(
    run: "Run", bundle: Path, out: Path, budget: Budget, say: Callable[[str], None] = print
) -> Mapping[str, object]:
    """Train for `budget` and write the bundle `bundle` with the new drawing networks to `out`; returns what was gained.

    `run` has people with cines. Its `diffusion` is replaced, and a student of the denoiser before is put aside.

    Raises:
        NotBetterError: the denoiser's error has not fallen; the weights of before are the next call's start.
        TimeIsUpError: drawing and encoding the people took nearly all of the time; what they left is kept.
        ValueError: there are no weights to go on from.
    """
    began = monotonic()
    start = last_denoiser(run)
    latents, conditions = run.latents, run.conditions
    prepared = monotonic() - began
    left = budget.seconds - prepared
    people = int((latents.split == "train").sum())
    say(f"{people} people to learn from are ready after {prepared:.0f} s; {device().type} trains")
    if left < LEAST * budget.seconds:
        raise TimeIsUpError(
            f"drawing and encoding the people took {prepared:.0f} of {budget.seconds:.0f} s. They are kept in "
            f"{run.folder}: run the same command again, and all of the time is for training"
        )
    p = run.programme
    learning = replace(
        p.diffusion,
        denoiser=start.config,
        batch=budget.batch,
        average=max(p.diffusion.average, AVERAGE) if device().type == "cuda" else p.diffusion.average,
        optimisation=replace(
            p.diffusion.optimisation,
            steps=ANY,
            seconds=left,
            learning_rate=budget.learning_rate,
            bfloat16=device().type == "cuda",
            save_every=STEPS_BETWEEN,
        ),
    )
    before = validation_errors(start.to(device()).eval(), learning, latents, conditions)
    start.cpu()
    for stage in ("diffusion", "distillation"):
        _clear(run.folder / stage)
    denoiser, _ = load_denoiser(train_diffusion(learning, latents, conditions, run.folder / "diffusion", start))
    after = validation_errors(denoiser.to(device()), learning, latents, conditions)
    gained = {name: {"before": round(before[name], 4), "after": round(after[name], 4)} for name in after}
    say(f"denoiser: {_steps(run.folder / 'diffusion')} steps; error on validation people {json.dumps(gained)}")
    if sum(after.values()) >= sum(before.values()) and not budget.even_if_worse:
        _put_back(run.folder / "diffusion")
        raise NotBetterError(
            f"the denoiser's error on validation people has not fallen ({json.dumps(gained)}); nothing is exported. "
            "Give it more --minutes, a GPU or larger batches; --even-if-worse exports it all the same"
        )
    if out != bundle:
        shutil.copytree(bundle, out, dirs_exist_ok=True)
    version = json.loads((bundle / "manifest.json").read_text())["version"]
    difference = export_drawing(run, out, SynthesisReportConfig(), version=f"{version.split('+')[0]}+cines")
    say(f"{out}: written, PyTorch-ONNX difference {difference:.1e}")
    return {"people": people, "prepared": round(prepared, 1), "errors": gained, "bundle": str(out)}


def _clear(folder: Path) -> None:
    """Put aside what a training left, until the next one has a checkpoint; the people's latents and conditions stay."""
    if (folder / "model.pt").exists():
        (folder / "model.pt").replace(folder / BEFORE)
    for name in ("checkpoint.pt", "model.pt", "model.safetensors", "log.jsonl", "config.json"):
        (folder / name).unlink(missing_ok=True)


def _put_back(folder: Path) -> None:
    """Forget a training that gained nothing."""
    for name in ("checkpoint.pt", "model.pt", "model.safetensors"):
        (folder / name).unlink(missing_ok=True)
    if (folder / BEFORE).exists():
        (folder / BEFORE).replace(folder / "model.pt")


def _steps(folder: Path) -> int:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return int(json.loads(lines[-1])["step"]) if lines else 0
