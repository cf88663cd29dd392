"""Trains the network that sees exchanged electrodes: `python -m cardiacnets.signal.electrodes FEATURES`.

Each ECG is a table of means over parts of its median beat, written by `npm run electrode-features` with the code that
also runs in production. The means are linear in the leads, so an exchange of electrodes is arithmetic on the table.
PTB-XL, folds 1 to 7 to learn from (those that the folder has), 8 to choose the limits on, 9 to measure. Hearts that
point to the right, and every other disorder of PTB-XL, are among those without an exchange.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cardiacnets.data.ptbxl import read_labels
from cardiacnets.signal.profile import REPOSITORY

Floats = NDArray[np.float32]

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
P_PARTS, QRS_PARTS, T_PARTS = 6, 8, 6
PARTS = P_PARTS + QRS_PARTS + T_PARTS
KINDS = (
    "none", "RA-LA", "RA-LL", "LA-LL", "RA-RL", "V1-V2", "V2-V3", "V3-V4", "V4-V5", "V5-V6", "V1-V3", "V1-V6",
    *(f"V{lead}-inverted" for lead in range(1, 7)),
)  # fmt: skip
WITHHOLDS = ("RA-LA", "RA-LL", "RA-RL", "LA-LL", "V1-V6")
"""Exchanges after which no finding is to be read; the others change a part of the picture."""

FALSE_ALARMS = {"RA-LA": 0.002, "RA-LL": 0.002, "RA-RL": 0.001, "LA-LL": 0.001, "V1-V6": 0.0005}
FALSE_ALARMS_ELSE = 0.0003
WITHHELD_INFARCTS = 0.0015
"""Shares on fold 8: of ECGs that may be warned of, and of infarcts that may be withheld, a kind."""

LEAST = {"RA-LA": 0.3, "RA-LL": 0.3, "RA-RL": 0.4}
LEAST_ELSE = 0.7
"""Below this probability nothing is said, however rare it is: less where the exchange changes every finding."""

RIGHT_AXIS = frozenset({"LPFB", "RVH", "RAO/RAE"})
CLIP = 6.0
HIDDEN = 48


def exchange(parts: Floats, kind: str, rng: np.random.Generator) -> Floats:
    """[n, 8, PARTS] as the same hearts look with electrodes exchanged."""
    out = parts.copy()
    i, ii = parts[:, 0], parts[:, 1]
    if kind == "RA-LA":
        out[:, 0], out[:, 1] = -i, ii - i
    elif kind == "RA-LL":
        out[:, 0], out[:, 1] = i - ii, -ii
    elif kind == "LA-LL":
        out[:, 0], out[:, 1] = ii, i
    elif kind == "RA-RL":
        # Both legs see nearly the same, so II is what is left between them. Wilson's terminal moves by II / 3.
        left = rng.normal(0, 0.04, size=(len(parts), 1)).astype(np.float32)
        out[:, 0], out[:, 1] = i - ii, left * ii
        out[:, 2:] = parts[:, 2:] - ii[:, None] / 3
    elif kind == "V1-V6":
        out[:, 2:] = parts[:, :1:-1]
    elif kind.endswith("inverted"):
        out[:, 1 + int(kind[1])] *= -1
    elif kind != "none":
        a, b = (1 + int(name[1]) for name in kind.split("-"))
        out[:, a], out[:, b] = parts[:, b], parts[:, a]
    return out


def scaled(parts: Floats) -> Floats:
    """[n, 8, PARTS] → [n, 160], in units of the root mean square of QRS: the voltage of a heart says nothing here."""
    qrs = parts[:, :, P_PARTS : P_PARTS + QRS_PARTS]
    return (parts / np.sqrt((qrs**2).mean(axis=(1, 2), keepdims=True))).reshape(len(parts), -1)


@dataclass(frozen=True)
class Set:
    """ECGs of some folds: the number of each in PTB-XL, and the parts of its median beat."""

    ids: NDArray[np.int64]
    parts: Floats  # [n, 8, PARTS], mV


def read(folder: Path, folds: list[int]) -> Set:
    """Folds that the folder has; ECGs without a median beat are not among them."""
    found = [fold for fold in folds if (folder / f"fold{fold:02d}.f32").exists()]
    parts = [np.fromfile(folder / f"fold{fold:02d}.f32", dtype="<f4") for fold in found]
    ids = [np.loadtxt(folder / f"fold{fold:02d}.ids", dtype=np.int64) for fold in found]
    return Set(np.concatenate(ids), np.concatenate(parts).reshape(-1, len(LEADS), PARTS))


def train(parts: Floats, seed: int, epochs: int) -> tuple[nn.Sequential, Floats, Floats]:
    """The network with the mean and deviation that its input is brought to. Half of the ECGs are as they are."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    plain = scaled(parts)
    mean, deviation = plain.mean(axis=0), plain.std(axis=0) + 1e-3
    network = nn.Sequential(
        nn.Linear(plain.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(0.1), nn.Linear(HIDDEN, len(KINDS))
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    steps = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    chance = np.array([0.4, *([0.6 / (len(KINDS) - 1)] * (len(KINDS) - 1))])
    for _ in range(epochs):
        kinds = rng.choice(len(KINDS), size=len(parts), p=chance)
        shown = np.empty_like(parts)
        for number, kind in enumerate(KINDS):
            shown[kinds == number] = exchange(parts[kinds == number], kind, rng)
        shown = scaled(shown)
        shown += rng.normal(0, 0.03, size=shown.shape).astype(np.float32)
        inputs = torch.from_numpy(np.clip((shown - mean) / deviation, -CLIP, CLIP))
        targets = torch.from_numpy(kinds)
        for batch in torch.from_numpy(rng.permutation(len(parts))).split(256):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(inputs[batch]), targets[batch], label_smoothing=0.01).backward()
            optimiser.step()
        steps.step()
    return network.eval(), mean, deviation


def document(network: nn.Sequential, mean: Floats, deviation: Floats, limits: dict[str, Any]) -> dict[str, Any]:
    """What `shared/signal/electrodes.ts` reads, with four digits a number."""

    def digits(values: object) -> object:
        return json.loads(
            json.dumps(np.asarray(values, dtype=np.float64).tolist()), parse_float=lambda x: float(f"{float(x):.4g}")
        )

    def layer(linear: nn.Linear) -> list[dict[str, Any]]:
        weights, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
        return [{"bias": digits(b), "weights": digits(w)} for w, b in zip(weights, bias, strict=True)]

    return {
        "clip": CLIP, "kinds": list(KINDS), "mean": digits(mean), "deviation": digits(deviation),
        "hidden": layer(cast(nn.Linear, network[0])), "output": layer(cast(nn.Linear, network[3])), "limits": limits,
    }  # fmt: skip


def probabilities(network: dict[str, Any], parts: Floats) -> NDArray[np.float64]:
    """[n, kinds] by the written document: what TypeScript is compared with."""
    inputs = (scaled(parts) - np.array(network["mean"])) / np.array(network["deviation"])
    hidden = np.clip(inputs, -network["clip"], network["clip"])
    for name in ("hidden", "output"):
        weights = np.array([unit["weights"] for unit in network[name]])
        hidden = hidden @ weights.T + np.array([unit["bias"] for unit in network[name]])
        if name == "hidden":
            hidden = np.maximum(hidden, 0)
    powers = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def choose_limits(given: NDArray[np.float64], infarct: NDArray[np.bool_]) -> dict[str, Any]:
    """Limits by kind, on ECGs whose electrodes nobody has exchanged."""
    limits: dict[str, Any] = {}
    for number, kind in enumerate(KINDS[1:], start=1):
        warn = float(np.quantile(given[:, number], 1 - FALSE_ALARMS.get(kind, FALSE_ALARMS_ELSE)))
        withhold = None
        if kind in WITHHOLDS:
            withhold = float(max(warn, np.quantile(given[infarct, number], 1 - WITHHELD_INFARCTS)))
        limits[kind] = {
            "warn": round(max(warn, LEAST.get(kind, LEAST_ELSE)), 4),
            "withhold": None if withhold is None else round(max(withhold, LEAST.get(kind, LEAST_ELSE)), 4),
        }
    return limits


def warned(given: NDArray[np.float64], limits: dict[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Kind that is warned of (0: none), and whether it withholds; as `electrodeWarnings` decides."""
    above = np.array([given[:, k] * (given[:, k] >= limits[kind]["warn"]) for k, kind in enumerate(KINDS) if k > 0]).T
    which = np.where(above.max(axis=1) > 0, above.argmax(axis=1) + 1, 0)
    levels = np.array([np.inf, *((limits[kind]["withhold"] or np.inf) for kind in KINDS[1:])])
    return which, given[np.arange(len(given)), which] >= levels[which]


def interval(found: int, n: int) -> list[float]:
    """Wilson's 95% interval."""
    z, share = 1.96, found / n
    middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return [float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))]


@dataclass(frozen=True)
class AsIs:
    """ECGs of one group whose electrodes nobody has exchanged: how many are warned of and withheld, 95% intervals."""

    n: int
    warned: int
    warnedCi: list[float]  # named as in the JSON
    withheld: int
    withheldCi: list[float]


@dataclass(frozen=True)
class Exchanged:
    """ECGs with one exchange of electrodes: how many are found as any exchange, found by name, and withheld."""

    n: int
    found: int
    foundCi: list[float]
    named: int
    withheld: int
    falseAlarms: int
    """ECGs as they are that are warned of as this exchange."""


@dataclass(frozen=True)
class ElectrodeReport:
    """`reports/electrodes.json`: figures by group and by kind of exchange."""

    asIs: dict[str, AsIs]
    kinds: dict[str, Exchanged]


def measure(network: dict[str, Any], people: Set, seed: int = 1) -> ElectrodeReport:
    """By kind: found (as any exchange, and by name) and withheld; false alarms of ECGs as they are, by group."""
    rng = np.random.default_rng(seed)
    labels = read_labels()
    row = {int(ecg): place for place, ecg in enumerate(labels.ecg_id)}
    codes = [labels.scp_codes[row[int(ecg)]] for ecg in people.ids]
    mi = labels.superclasses[[row[int(ecg)] for ecg in people.ids], 1]
    groups = {
        "all": np.ones(len(mi), dtype=bool), "infarcts": mi,
        "right axis, RVH": np.array([bool(code & RIGHT_AXIS) for code in codes]),
        "normal": np.array(["NORM" in code for code in codes]),
    }  # fmt: skip
    which, withheld = warned(probabilities(network, people.parts), network["limits"])
    report = ElectrodeReport({}, {})
    for name, group in groups.items():
        n, alarms, held = int(group.sum()), int((which[group] > 0).sum()), int(withheld[group].sum())
        report.asIs[name] = AsIs(n, alarms, interval(alarms, n), held, interval(held, n))
    for number, kind in enumerate(KINDS[1:], start=1):
        seen, refused = warned(probabilities(network, exchange(people.parts, kind, rng)), network["limits"])
        n, found, named = len(seen), int((seen > 0).sum()), int((seen == number).sum())
        false_alarms = int((which == number).sum())
        report.kinds[kind] = Exchanged(n, found, interval(found, n), named, int(refused.sum()), false_alarms)
    return report


def table(report: ElectrodeReport) -> str:
    """The tables of docs/electrodes.md."""

    def share(count: int, n: int, ci: list[float] | None = None) -> str:
        return f"{100 * count / n:.1f}%" + (f" ({100 * ci[0]:.1f}–{100 * ci[1]:.1f})" if ci else "")

    lines = [
        "| exchange | found | named rightly | findings withheld | false alarms, n |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind, seen in report.kinds.items():
        n = seen.n
        lines.append(
            f"| {kind} | {share(seen.found, n, seen.foundCi)} | "
            f"{share(seen.named, n)} | {share(seen.withheld, n)} | {seen.falseAlarms} of {n} |"
        )
    lines += ["", "| ECGs as they are | n | warned | findings withheld |", "| --- | --- | --- | --- |"]
    for name, group in report.asIs.items():
        n = group.n
        lines.append(
            f"| {name} | {n} | {share(group.warned, n, group.warnedCi)} | "
            f"{share(group.withheld, n, group.withheldCi)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Trains, chooses limits, writes `shared/signal/electrodes.json`; `--final` measures fold 9."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("features", type=Path)
    parser.add_argument("--final", action="store_true", help="measure what was written on fold 9, and train nothing")
    parser.add_argument("--epochs", type=int, default=120)
    arguments = parser.parse_args()
    written = REPOSITORY / "shared" / "signal" / "electrodes.json"
    if arguments.final:
        report = measure(json.loads(written.read_text()), read(arguments.features, [9]))
        path = REPOSITORY / "models" / "training" / "reports" / "electrodes.json"
        path.write_text(json.dumps({"fold": 9, **asdict(report)}, indent=1) + "\n")
        print(table(report))
        return
    network, mean, deviation = train(read(arguments.features, list(range(1, 8))).parts, 1, arguments.epochs)
    people = read(arguments.features, [8])
    made = document(network, mean, deviation, {})
    labels = read_labels()
    row = {int(ecg): place for place, ecg in enumerate(labels.ecg_id)}
    infarct = labels.superclasses[[row[int(ecg)] for ecg in people.ids], 1]
    made["limits"] = choose_limits(probabilities(made, people.parts), infarct)
    made["learnedFrom"] = [
        f"ptbxl100 fold {fold}" for fold in range(1, 8) if (arguments.features / f"fold{fold:02d}.f32").exists()
    ]
    written.write_text(json.dumps(made) + "\n")
    print("fold 8, which the limits were chosen on:")
    print(table(measure(made, people)))


if __name__ == "__main__":
    main()
