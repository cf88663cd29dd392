"""The section of `docs/evaluation.md` about drawn cines, from `reports/synthesis.json`."""

from typing import Any

from cardiacnets.domain import VIEWS
from cardiacnets.evaluation.markdown import table
from cardiacnets.synthesis.figures import Candidate, ChoicesReport, Detection, Figures, SynthesisReport
from cardiacnets.synthesis.signs import SIGNS

TITLE = "## Cines drawn from the ECG"
NAMES = {"lvEdv": "LV EDV", "lvEsv": "LV ESV", "lvEf": "LV EF", "lvMass": "LV mass", "rvEdv": "RV EDV"}
PUBLISHED = {"lvMass": ".69", "rvEdv": ".67"}
"""R that the paper gives for generated images (UK Biobank; another read-out, other people)."""


def _likeness(report: SynthesisReport) -> str:
    rows = []
    for name, figures in _sources(report):
        likeness = figures.get("likeness", {})
        cells = [f"{likeness[view][key]:.3g}" if likeness else "" for view in VIEWS for key in ("ssim", "psnr")]
        distance = figures["distance"]
        rows.append([name, *cells, f"{distance['cines']:.2f}", f"{distance['withEcg']:.2f}"])
    head = ["", "SSIM, short axis", "PSNR", "SSIM, four-chamber", "PSNR", "Fréchet", "Fréchet with ECG"]
    return table(head, rows)


def _sources(report: SynthesisReport) -> list[tuple[str, Figures]]:
    drawn = [
        (f"drawn, {name} ({sampler['steps']} steps, guidance {sampler['guidance']:g})", report["drawn"][name])
        for name, sampler in report["samplers"].items()
    ]
    return [
        ("true cines (floor)", report["true"]),
        ("through the VAE and back", report["reconstructed"]),
        *drawn,
        ("another person's true cine (ceiling)", report["otherPerson"]),
    ]


def _beside_another_person(report: SynthesisReport) -> str:
    """What the Fréchet distance with the ECG shows about the drawn cines."""
    drawn = report["drawn"][report["default"]]["distance"]["withEcg"]
    other = report["otherPerson"]["distance"]["withEcg"]
    if drawn < other:
        return "Together with their ECGs, drawn cines are nearer to true ones than other people's true cines are."
    return (
        "**Together with their ECGs, drawn cines are further from true ones than other people's true cines are**:\n"
        "their lower image quality outweighs that they follow the ECG."
    )


def _function(report: SynthesisReport) -> str:
    drawn, read = report["drawn"].values(), report["readFromEcg"]
    rows = [
        [
            label,
            f"{read[name]:.2f}",
            f"{read[name] ** 2:.2f}",
            *(
                f"{source[name]:.2f}"
                for source in (report["readout"]["onTrueCines"], report["reconstructed"]["function"])
            ),
            *(_with_interval(figures["function"][name], figures["functionCi"][name]) for figures in drawn),
            PUBLISHED.get(name, ""),
        ]
        for name, label in NAMES.items()
    ]
    head = [
        "R with the truth",
        "read from the ECG",
        "its square",
        "true cine",
        "through the VAE",
        *report["drawn"],
        "paper",
    ]
    return table(head, rows)


def _with_interval(value: float, ci: list[float]) -> str:
    return f"{value:.2f} ({ci[0]:.2f} to {ci[1]:.2f})"


def _conditions(report: SynthesisReport) -> str:
    sources, seen = {"true": report["true"], **report["drawn"]}, report["seenInEcg"]

    def cell(found: Detection | None) -> str:
        return "" if found is None else _with_interval(found["auroc"], found["ci"])

    rows = [
        [
            name,
            "" if found is None else str(found["with"]),
            *(("", "") if known is None else (f"{known['auroc']:.2f}", f"{known['faithful']:.2f}")),
            *(cell(figures["conditions"][name]) for figures in sources.values()),
        ]
        for (name, found), known in zip(report["true"]["conditions"].items(), seen.values(), strict=True)
    ]
    return table(["AUROC", "n", "read from the ECG", "faithful cines", *sources], rows)


def _signs() -> str:
    return "\n".join(f"- `{name}`: {meaning}" for name, meaning in SIGNS.items())


PRECISIONS = {
    "halfStored": "weights in float16, computed in float32 (the bundle's)",
    "half": "float16",
    "int8": "int8 convolutions (static, one scale per channel)",
}


def _precision(report: SynthesisReport) -> str:
    """What fewer bits would cost and give."""
    plain = report["precision"]["float32"]["function"]
    rows = []
    for variant, label in PRECISIONS.items():
        figures = report["precision"][variant]
        lost = max(plain[name] - figures["function"][name] for name in NAMES)
        rows.append(
            [
                label,
                *(f"{figures[f'{view}.psnr']:.1f}" for view in VIEWS),
                f"{max(lost, 0):.2f}",
                *(f"{figures[f'{network}.timesQuicker']:.2f}" for network in ("denoiser", "decoder")),
                *(f"{figures[f'{network}.bytesSaved']:.0%}" for network in ("denoiser", "decoder")),
            ]
        )
    head = [
        "against float32",
        "SAX, dB",
        "4CH, dB",
        "largest loss of R",
        "denoiser, speed-up",
        "decoder, speed-up",
        "denoiser, bytes saved",
        "decoder, bytes saved",
    ]
    return (
        table(head, rows)
        + f"\n\nSampler `{report['default']}`, two views (SAX short axis, 4CH four-chamber).\ndB: similarity to the float32 drawing from the same noise. Times are from this processor,\nwhich has no "
        "arithmetic in float16. No GPU was available."
    )


def section(report: SynthesisReport) -> str:
    """Markdown."""
    spread, copies = report["diversity"], report["copies"]["short_axis"]
    within, between = spread["function"]["lvEdv"]["withinEcg"], spread["function"]["lvEdv"]["betweenPeople"]
    student = " `distilled` is its student, trained for few steps." if "distilled" in report["samplers"] else ""
    return f"""{TITLE}

The figures are for {report["people"]} virtual test people. Their true cines are resampled to 16 frames.
Fréchet distances use our CMR encoders' features ({DIMENSIONS}) and the true cines of as many other test people.
"With ECG" adds the ECG's embedding to the features, so the distance also depends on whose cine it is.

![True and drawn cines](../models/training/reports/synthesis.png)

{_likeness(report)}

`full` and `quick` are the same denoiser, in many steps and in few.{student}
The bundle draws with `{report["default"]}` unless another is named.
{_beside_another_person(report)}

Function is read from areas that our U-Nets find, by a ridge regression fitted on {report["readout"]["people"]} training people's true cines.
Its R on true cines is the upper limit for drawn ones. "Read from the ECG" is a ridge regression on the embedding that conditions the denoiser.

Many hearts are compatible with one ECG. If only the embedding's linear reading were known,

- cines that show each of these hearts as often as it occurs would correlate with the truth by the square of that R,
- cines of the mean heart would correlate by that R.

Guidance is between the two. The denoiser is also conditioned on the ECG's tokens, which may hold more than a linear reading of the embedding.
In brackets: 95% intervals over people.

{_function(report)}

Classifiers of each condition and sign, fitted on true cines' features and applied to drawn ones (n: people who have it).
"Read from the ECG" is a logistic regression on the embedding. "Faithful cines" would show a sign or not, as often as that regression says:
the rarer a sign, and the less sure the ECG, the less such a cine tells of one person. Guidance shows more than that.

{_conditions(report)}

Signs of virtual people:

{_signs()}

**Diversity**: between seeds of one ECG, LV EDV differs by {within:.0f} mL (one standard deviation); between people by {between:.0f} mL.
Pixels differ by {spread["pixelsWithinEcg"]:.1f} grey levels within an ECG, and by {spread["pixelsBetweenPeople"]:.1f} between people
(true people: {spread["pixelsBetweenTruePeople"]:.1f}).

**Copies**: the median distance of a drawn cine to the nearest training person (short axis) is {copies["drawn"]:.1f} grey levels; of a true
test person's {copies["true"]:.1f}. {copies["nearerThanFirstPercentile"]:.1%} of drawn cines are nearer than the nearest 1% of true ones.

{_precision(report)}
"""


DIMENSIONS = "24 principal directions"


def summary(report: SynthesisReport) -> dict[str, Any]:
    """`cmr` of the evaluation JSON: what the default sampler draws, as means of both views.

    Distances are together with the ECG's embedding, between true cines (floor) and another person's (ceiling).
    """
    drawn = report["drawn"][report["default"]]
    likeness = drawn["likeness"].values()
    return {
        "people": report["people"],
        "ssim": sum(view["ssim"] for view in likeness) / len(likeness),
        "psnr": sum(view["psnr"] for view in likeness) / len(likeness),
        "fd": drawn["distance"]["withEcg"],
        "floorFd": report["true"]["distance"]["withEcg"],
        "ceilingFd": report["otherPerson"]["distance"]["withEcg"],
        "lvmR": drawn["function"]["lvMass"],
        "rvedvR": drawn["function"]["rvEdv"],
        "functionR": drawn["function"],
    }


CHOICES_TITLE = "## How cines are drawn: what was tried"
CHOICE_NAMES = {
    "v": "v, zero terminal SNR",
    "epsilon": "ε, the paper's noise",
    "full": "not distilled, many steps",
    "quick": "not distilled, few steps",
    "progressive": "progressive",
    "consistency": "consistency",
    "flow": "rectified flow",
}


def _choice(candidates: list[Candidate]) -> str:
    rows = [
        [
            CHOICE_NAMES[candidate["name"]],
            str(candidate["calls"]),
            *(f"{candidate['distance'][kind]:.2f}" for kind in ("cines", "withEcg")),
            *(f"{candidate['function'][name]:.2f}" for name in NAMES),
            f"{sum(candidate['spread'].values()) / len(candidate['spread']):.2f}",
            " / ".join(f"{candidate['toFull'][view]:.1f}" for view in VIEWS) if "toFull" in candidate else "",
        ]
        for candidate in candidates
    ]
    head = ["", "calls per view", "Fréchet", "Fréchet with ECG", *NAMES.values(), "spread", "dB to many steps"]
    return table(head, rows)


def choices_section(report: ChoicesReport) -> str:
    """Of docs/evaluation.md, from `reports/choices.json`."""

    def nearest(candidates: list[Candidate]) -> str:
        return CHOICE_NAMES[min(candidates, key=lambda candidate: candidate["distance"]["withEcg"])["name"]]

    students = [candidate for candidate in report["distillation"] if candidate["name"] not in {"full", "quick"}]
    return f"""{CHOICES_TITLE}

The figures are for {report["prediction"][0]["people"]} validation people (`cardiacnets-train synthesis choices`; measures as above):

- R of each index with the truth,
- spread of the read values, as a share of the true spread,
- dB: similarity to the drawing with many steps from the same noise (short axis / four-chamber).

Prediction targets of the denoiser, after {report["trainingSteps"]["diffusion"]} training steps (nearest to true cines: {nearest(report["prediction"])}):

{_choice(report["prediction"])}

Distillation methods, with equal compute ({report["trainingSteps"]["distillation"]} steps of the progressive method; nearest to true cines: {nearest(students)}):

{_choice(report["distillation"])}
"""


CARD_TITLE = "## Cines that it draws"


def card_section(report: SynthesisReport) -> str:
    """Of `MODEL_CARD.md`, Markdown."""
    drawn, sizes = report["drawn"][report["default"]], report["samplers"][report["default"]]
    rows = [
        [
            label,
            f"{report['readout']['onTrueCines'][name]:.2f}",
            f"{drawn['function'][name]:.2f}",
            f"{drawn['bias'][name]:+.1f}",
        ]
        for name, label in NAMES.items()
    ]
    likeness = drawn["likeness"]
    other = report["otherPerson"]["likeness"]
    return f"""{CARD_TITLE}

A latent video diffusion model draws the short-axis and the four-chamber view, in {sizes["steps"]} steps with guidance {sizes["guidance"]:g} (sampler `{report["default"]}`).
It is conditioned on the ECG through the encoder, as screening trained it after the contrastive stage.
**It learned from simulated hearts only, and its output is SYNTHETIC**: it shows how such a heart may look, never the heart of this person.
Measured on {report["people"]} virtual test people:

{table(["R with the truth", "read from the true cine", "from the drawn one", "mean error"], rows)}

The U-Nets and the regression of this bundle read the indices. SSIM with the true cine: short axis {likeness["short_axis"]["ssim"]:.2f}, four-chamber {likeness["four_chamber"]["ssim"]:.2f}
(another person's true cine: {other["short_axis"]["ssim"]:.2f}, {other["four_chamber"]["ssim"]:.2f}). docs/evaluation.md has more.
"""
