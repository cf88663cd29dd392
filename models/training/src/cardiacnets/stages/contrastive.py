"""Stage `contrastive`: bring the ECG encoder's embedding near to those of both CMR views (InfoNCE)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.configuration import from_json, to_json
from cardiacnets.data.cines import CROP, CineAugmentConfig, CineSet, draw_affine, no_affine, sample_cines
from cardiacnets.data.paired import PairedSet
from cardiacnets.device import device, generator_of
from cardiacnets.domain import View
from cardiacnets.metrics import bootstrap_ci, retrieval_rank
from cardiacnets.models.augment import AugmentConfig, augment
from cardiacnets.models.encoder import EncoderConfig
from cardiacnets.models.swin import Swin
from cardiacnets.models.trunks import AnyTrunk, TrunkConfig, make_trunk, trunk_config
from cardiacnets.stages.loop import OptimisationConfig, first_process_first, of_all_processes, rows_of_step, run


@dataclass(frozen=True)
class ContrastiveConfig:
    """Everything that decides the weights, but the data and the networks that training starts from."""

    batch: int = 64
    temperature: float = 0.1
    projection: int = 256
    whitened: int = 64
    """Directions of a view's features that go on to its projection."""
    cine_copies: int = 4
    """Augmented copies of each cine that training draws from. The CMR encoders are frozen, so that what they make of a
    copy is computed once and not in each step."""
    shuffled: bool = False
    """Each training ECG belongs to another person's cines: the control that says what true pairs add. Validation keeps
    its pairs."""
    encoder: TrunkConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    cine_augment: CineAugmentConfig = field(default_factory=CineAugmentConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)


class Projection(nn.Sequential):
    """Features → a point on the unit sphere, [N,in] → [N,out]."""

    def __init__(self, features: int, out: int) -> None:
        super().__init__(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, out))

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return F.normalize(super().forward(features).float(), dim=-1)


class Whiten(nn.Module):
    """The strongest principal directions of the training people's features, each brought to unit variance.

    The features of all hearts are nearly the same, and most of what differs lies along the few directions of brightness
    and contrast, of which an ECG knows nothing.
    """

    middle: Tensor
    basis: Tensor

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("basis", torch.zeros(width, min(width, components)))

    def fit(self, values: Tensor) -> None:
        """Take middle and directions from [n,D]; directions that n people cannot fill stay empty."""
        self.middle.copy_(values.mean(dim=0))
        scale = values.std(dim=0).clamp_min(1e-6)
        _, singular, direction = torch.linalg.svd((values - self.middle) / scale, full_matrices=False)
        some = min(self.basis.shape[1], int((singular > 1e-4 * singular[0]).sum()))
        spread = singular[:some] / max(1, len(values) - 1) ** 0.5
        self.basis.zero_()
        self.basis[:, :some] = direction[:some].T / scale.unsqueeze(1) / spread

    def forward(self, features: Tensor) -> Tensor:
        """[N,D] → [N,components]."""
        return (features - self.middle) @ self.basis


class Alignment(nn.Module):
    """What is trained: the ECG encoder, and a projection for it and for each view."""

    def __init__(self, config: ContrastiveConfig, widths: Mapping[View, int]) -> None:
        """`widths`: of each view's features."""
        super().__init__()
        self.trunk = make_trunk(config.encoder)
        self.ecg = Projection(config.encoder.embedding, config.projection)
        self.views = nn.ModuleDict(
            {
                view: nn.Sequential(
                    Whiten(width, config.whitened), Projection(min(width, config.whitened), config.projection)
                )
                for view, width in widths.items()
            }
        )

    def whitening(self, view: View) -> Whiten:
        """The first layer of a view's projection."""
        return cast(Whiten, cast(nn.Sequential, self.views[view])[0])

    def project_ecg(self, millivolt: Tensor, lead_mask: Tensor, person: Tensor, person_mask: Tensor) -> Tensor:
        """Inputs of `Trunk` → [N,256]."""
        return self.ecg(self.trunk(millivolt, lead_mask, person, person_mask)[1])


def info_nce(ecg: Tensor, cine: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE of unit vectors [N,D], row i of one belonging to row i of the other (CLIP, 2103.00020)."""
    with torch.autocast(ecg.device.type, enabled=False):  # bfloat16 has three digits, and τ asks for more
        logits = ecg @ cine.T / temperature
        own = torch.arange(len(logits), device=ecg.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


QUERIES = {
    "ecg": "ECG and person",
    "ecgAlone": "ECG alone",
    "stranger": "a stranger's ECG, own person",
}
"""What a cine is looked for by. The last finds it by sex, age, height and weight alone."""


def retrieval(
    query: NDArray[np.floating], key: NDArray[np.floating], among: int = 1000, rounds: int = 10, seed: int = 0
) -> dict[str, Any]:
    """Median rank (with a 95% interval over people) and recall at 1 and 10 among `among` people; all, if fewer.

    The people are drawn `rounds` times.
    """
    rng, n = np.random.default_rng(seed), len(query)
    draws = [np.arange(n)] if n <= among else [rng.choice(n, among, replace=False) for _ in range(rounds)]
    rank = np.full((n, len(draws)), np.nan)
    for column, rows in enumerate(draws):
        rank[rows, column] = retrieval_rank(query[rows], key[rows])
    drawn = rank[~np.isnan(rank).all(axis=1)]
    low, high = bootstrap_ci(lambda rows: float(np.nanmedian(drawn[rows])), len(drawn), seed, rounds=300)
    figures = {f"recall{k}": float(np.nanmean(np.where(np.isnan(drawn), np.nan, drawn <= k))) for k in (1, 10)}
    return {"among": len(draws[0]), "medianRank": float(np.nanmedian(drawn)), "ci": [low, high], **figures}


@torch.no_grad()
def cine_features(
    encoder: Swin, cines: CineSet, crop: int, config: ContrastiveConfig, batch: int = 32
) -> NDArray[np.float32]:
    """Embeddings [n, 1 + copies, features] of each cine as it is and of its augmented copies."""
    encoder.eval().to(device())
    features = np.empty((len(cines.frames), 1 + config.cine_copies, encoder.config.embedding), dtype=np.float32)
    for start in range(0, len(features), batch):
        rows = np.arange(start, min(start + batch, len(features)))
        frames, centre = cines.take(rows)
        generator = generator_of(config.optimisation.seed, start)
        for copy in range(features.shape[1]):
            affine = draw_affine(len(rows), config.cine_augment, generator) if copy else no_affine(len(rows))
            image = sample_cines(frames.to(device()), centre, affine, crop, encoder.config.image)
            features[rows, copy] = encoder.embedding(image).cpu().numpy()
    encoder.cpu()
    return features


def _cached_features(
    encoder: Swin, view: View, cines: CineSet, config: ContrastiveConfig, folder: Path
) -> NDArray[np.float32]:
    """`cine_features` from `folder`, or computed and kept there; the name holds what they were made with."""
    settings = (encoder.config, config.cine_copies, config.cine_augment, config.optimisation.seed, cines.frames.shape)
    made_with = hashlib.sha256(repr(settings).encode())
    # Some frames tell one cohort from another, and all of them would take as long to read as the features to make.
    made_with.update(cines.frames[:: max(1, len(cines.frames) // 16), 0].tobytes())
    if cines.centre is not None:
        made_with.update(np.asarray(cines.centre).tobytes())
    for value in encoder.state_dict().values():
        made_with.update(value.numpy().tobytes())
    path = folder / f"{view}-{made_with.hexdigest()[:12]}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        np.save(part, cine_features(encoder, cines, CROP[view], config))
        part.replace(path)
    return np.load(path)


@torch.no_grad()
def project_people(
    model: Alignment, data: PairedSet, features: Mapping[View, NDArray[Any]], rows: NDArray[np.intp], batch: int = 128
) -> dict[str, NDArray[np.float32]]:
    """Projections [len(rows),256] of `ecg`, all leads and known fields given, and of each view, not augmented.

    Beside them those of the other `QUERIES`: the ECG alone, and the person with the ECG of the row after.
    """
    where = next(model.parameters()).device
    model.eval()
    points: dict[str, list[Tensor]] = {**{query: [] for query in QUERIES}, **{view: [] for view in features}}
    strangers = np.roll(rows, -1)
    for start in range(0, len(rows), batch):
        some, others = rows[start : start + batch], strangers[start : start + batch]
        person = torch.from_numpy(data.person[some])
        own, other = (torch.from_numpy(data.millivolt[chosen].astype(np.float32)) for chosen in (some, others))
        known = (~person.isnan()).float()
        present = torch.ones(len(some), 12)
        asked = {"ecg": (own, known), "ecgAlone": (own, torch.zeros_like(known)), "stranger": (other, known)}
        for query, (millivolt, mask) in asked.items():
            inputs = (x.to(where) for x in (millivolt, present, person, mask))
            points[query].append(model.project_ecg(*inputs).cpu())
        for view, values in features.items():
            points[view].append(model.views[view](torch.from_numpy(values[some, 0]).to(where)).cpu())
    return {name: torch.cat(parts).numpy() for name, parts in points.items()}


def strangers(rows: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """The same rows in an order in which nobody keeps their place, as long as there are two."""
    order = np.random.default_rng([seed, 3]).permutation(len(rows))
    other = np.empty_like(rows)
    other[order] = rows[np.roll(order, -1)]
    return other


def align(
    config: ContrastiveConfig,
    data: PairedSet,
    encoders: Mapping[View, Swin],
    out_dir: Path,
    trunk: AnyTrunk | None = None,
) -> Path:
    """Train on the split `train`, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`).

    `encoders` are frozen and not changed. `trunk` is what the ECG encoder starts from (masked modelling), if anything.
    The log has the retrieval of validation people's cines by their ECGs.
    """
    with first_process_first():
        features = {
            view: _cached_features(encoders[view], view, cines, config, out_dir / "features")
            for view, cines in data.cines.items()
        }
    optimisation = config.optimisation
    train, validation = (np.flatnonzero(data.split == name) for name in ("train", "val"))
    torch.manual_seed(optimisation.seed)
    model = Alignment(config, {view: values.shape[2] for view, values in features.items()})
    for view, values in features.items():
        model.whitening(view).fit(torch.from_numpy(values[train, 0]))
    if trunk is not None:
        model.trunk.load_state_dict(trunk.state_dict())
    cine_of = np.arange(len(data.split))
    if config.shuffled:
        cine_of[train] = strangers(train, optimisation.seed)

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        rows = rows_of_step(train, config.batch, step, optimisation.seed)
        person = torch.from_numpy(data.person[rows])
        millivolt = torch.from_numpy(data.millivolt[rows].astype(np.float32))
        ecg, lead_mask, person_mask = augment(millivolt, person, config.augment, generator)
        inputs = (x.to(device()) for x in (ecg, lead_mask, person, person_mask))
        points = of_all_processes(model.project_ecg(*inputs))
        losses = []
        for view, values in features.items():
            copy = torch.randint(config.cine_copies + 1, (len(rows),), generator=generator).numpy()
            cine = model.views[view](torch.from_numpy(values[cine_of[rows], copy]).to(device()))
            losses.append(info_nce(points, of_all_processes(cine), config.temperature))
        return torch.stack(losses).mean()

    def validate() -> dict[str, float]:
        if not len(validation):
            return {}
        points = project_people(model, data, features, validation)
        return {
            f"{view}.{name}": value
            for view in features
            for name, value in retrieval(points["ecg"], points[view]).items()
            if name != "ci"
        }

    described = to_json(config)
    return run("contrastive", optimisation, described, model, loss_of, validate, out_dir)


def load_alignment(path: Path) -> tuple[Alignment, ContrastiveConfig]:
    """The network of `model.pt` in evaluation mode, and its configuration."""
    state = torch.load(path, weights_only=True)
    described = dict(state["config"])
    config = ContrastiveConfig(
        **described
        | {
            "encoder": trunk_config(described["encoder"]),
            "augment": AugmentConfig(**described["augment"]),
            "cine_augment": from_json(CineAugmentConfig, described["cine_augment"]),
            "optimisation": OptimisationConfig(**described["optimisation"]),
        }
    )
    suffix = ".0.middle"
    widths = {name.split(".")[1]: len(v) for name, v in state["model"].items() if name.endswith(suffix)}
    model = Alignment(config, widths)
    model.load_state_dict(state["model"])
    return model.eval(), config


def held_out_points(
    path: Path, data: PairedSet, encoders: Mapping[View, Swin], split: str = "test"
) -> dict[str, NDArray[np.float32]]:
    """Projections of the ECGs and cines of people that nothing learned from: `QUERIES` and each view, [n,256]."""
    model, config = load_alignment(path)
    features = {
        view: _cached_features(encoders[view], view, cines, config, path.parent / "features")
        for view, cines in data.cines.items()
    }
    return project_people(model, data, features, np.flatnonzero(data.split == split))


def load_aligned_trunk(path: Path) -> AnyTrunk:
    """The ECG encoder's trunk of `model.pt`, in evaluation mode."""
    return load_alignment(path)[0].trunk
