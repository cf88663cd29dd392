"""Does this look like an ECG as the encoder knows them? A score beside every answer.

Two kinds of evidence go into a small perceptron: what the encoder's last stage holds (its tokens, pooled), and measures
of the signal that no embedding keeps: whether the limb leads obey Einthoven's and Goldberger's equations, how the leads
hang together, how alike the beats are, how peaked the slope is.
"""

from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.domain import LEADS

RELATIONS = (
    ((0, 1.0), (2, 1.0), (1, -1.0)),  # I + III = II
    ((3, 1.0), (0, 0.5), (1, 0.5)),  # aVR = −(I + II) / 2
    ((4, 1.0), (0, -0.5), (2, 0.5)),  # aVL = (I − III) / 2
    ((5, 1.0), (1, -0.5), (2, -0.5)),  # aVF = (II + III) / 2
    ((3, 1.0), (4, 1.0), (5, 1.0)),  # aVR + aVL + aVF = 0
)
PAIRS = tuple(combinations(range(len(LEADS)), 2))
BEAT_LAGS = range(-20, 31, 2)
"""Around a QRS, in samples of 50 Hz: −0.4 s to 0.6 s."""
RHYTHM_LAGS = range(14, 80, 2)
"""0.28 s to 1.56 s."""
EPSILON = 1e-6
LAWFUL = 0.018
"""Of the limb leads' power, what may break their equations: the profile's wavelet threshold bends each lead on its own,
and leaves up to 0.7% in 500 real ECGs; leads in disorder leave a third and more."""


def _relation_matrix() -> Tensor:
    matrix = torch.zeros(len(RELATIONS), len(LEADS))
    for row, relation in enumerate(RELATIONS):
        for lead, factor in relation:
            matrix[row, lead] = factor
    return matrix


def _lagged(signal: Tensor, lags: range) -> Tensor:
    """[N,T] → [N,lags,T]: the sample that is `lag` earlier, zero beyond the ends.

    Rows of a repeated vector, each a step shorter than it, lie a step further back. Copies only: an index for every
    sample takes ONNX Runtime longer than the largest convolution of the encoder.
    """
    samples, before = signal.shape[1], max(0, lags[0])
    padded = F.pad(signal, (before, (len(lags) - 1) * lags.step))
    width = padded.shape[1] - lags.step
    rows = padded.repeat(1, len(lags))[:, : len(lags) * width].reshape(-1, len(lags), width)
    return rows[:, :, before - lags[0] : before - lags[0] + samples]


class SignalMeasures(nn.Module):
    """Measures of mV at 100 Hz, [N,12,1000] with absent leads zero, and lead mask [N,12] → [N,`count`]."""

    relations: Tensor
    rhythm_lags: Tensor
    pair: Tensor
    count = 2 + len(PAIRS) + 2 + len(BEAT_LAGS) + len(RHYTHM_LAGS) + 1 + 6

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("relations", _relation_matrix(), persistent=False)
        self.register_buffer("rhythm_lags", torch.tensor(RHYTHM_LAGS, dtype=torch.float32), persistent=False)
        first, second = torch.tensor(PAIRS).T
        self.register_buffer("pair", first * len(LEADS) + second, persistent=False)

    def forward(self, millivolt: Tensor, lead_mask: Tensor) -> Tensor:
        """See the class."""
        leads = lead_mask.sum(dim=1, keepdim=True)  # [N,1]
        centred = (millivolt - millivolt.mean(dim=-1, keepdim=True)) * lead_mask.unsqueeze(-1)
        covariance = centred @ centred.transpose(1, 2) / centred.shape[-1]  # [N,12,12]
        power = (centred * centred).mean(dim=-1)  # [N,12]
        unit = centred * ((power + EPSILON).rsqrt() * lead_mask).unsqueeze(-1)  # each lead of unit power
        half = unit.unflatten(-1, (-1, 2)).mean(dim=-1)  # [N,12,500], 50 Hz
        slope = half[..., 1:] - half[..., :-1]
        slope = torch.cat([slope, slope[..., -1:]], dim=-1)
        activity = (slope**2).sum(dim=1) / leads  # [N,500]
        return torch.cat(
            [
                self._limb_law(covariance, power, lead_mask),
                *self._togetherness(covariance, power, lead_mask, leads),
                self._beats(half, activity),
                self._rhythm(activity),
                self._shape(unit, millivolt, leads, lead_mask),
            ],
            dim=1,
        )

    def _limb_law(self, covariance: Tensor, power: Tensor, lead_mask: Tensor) -> Tensor:
        """[N,2]: how far the limb leads break their equations, log of `LAWFUL` (0: not, or unknown); is it known."""
        involved = self.relations.ne(0).float()
        whole = ((lead_mask @ involved.T) > 2.5).float()  # [N,5]
        left = ((self.relations @ covariance) * self.relations).sum(dim=-1)  # r' C r
        total = power @ (self.relations**2).T
        share = (left.clamp_min(0) * whole).sum(dim=1) / ((total * whole).sum(dim=1) + EPSILON)
        has_any = whole.amax(dim=1)
        return torch.stack([torch.relu((share / LAWFUL + EPSILON).log()) * has_any, has_any], dim=1)

    def _togetherness(self, covariance: Tensor, power: Tensor, lead_mask: Tensor, leads: Tensor) -> list[Tensor]:
        """[N,66] correlations; [N,2]: log effective number of leads (participation ratio), and 1/leads."""
        scale = (power + EPSILON).rsqrt() * lead_mask
        correlation = covariance * scale.unsqueeze(1) * scale.unsqueeze(2)
        effective = leads**2 / ((correlation**2).sum(dim=(1, 2)).unsqueeze(1) + EPSILON)
        return [correlation.flatten(1)[:, self.pair], torch.cat([(effective + EPSILON).log(), 1 / leads], dim=1)]

    def _beats(self, half: Tensor, activity: Tensor) -> Tensor:
        """[N,lags]: share of the power at each distance from a QRS that the mean beat explains."""
        trigger = torch.relu(activity - 0.4 * activity.amax(dim=1, keepdim=True))  # [N,500]
        at_lag = _lagged(trigger, BEAT_LAGS)  # [N,lags,500]
        at_lag = at_lag / (at_lag.sum(dim=-1, keepdim=True) + EPSILON)
        beat = at_lag @ half.transpose(1, 2)  # [N,lags,12]
        explained = (beat**2).sum(dim=-1)
        return explained / ((at_lag @ (half**2).transpose(1, 2)).sum(dim=-1) + EPSILON)

    def _rhythm(self, activity: Tensor) -> Tensor:
        """[N,lags + 1]: autocorrelation of the activity, and its largest."""
        change = activity - activity.mean(dim=1, keepdim=True)
        later = _lagged(change, RHYTHM_LAGS)  # [N,lags,500]
        overlap = 1 - self.rhythm_lags / change.shape[1]
        alike = (later * change.unsqueeze(1)).mean(dim=-1) / overlap
        alike = alike / ((change**2).mean(dim=1, keepdim=True) + EPSILON)
        return torch.cat([alike, alike.amax(dim=1, keepdim=True)], dim=1)

    def _shape(self, unit: Tensor, millivolt: Tensor, leads: Tensor, lead_mask: Tensor) -> Tensor:
        """[N,6]: logs of size, mobility, complexity (Hjorth 1970), largest step, and peakedness of signal and slope."""
        slope = unit[..., 1:] - unit[..., :-1]
        bend = slope[..., 1:] - slope[..., :-1]
        samples = unit.shape[-1]
        size = millivolt.abs().amax(dim=-1).sum(dim=1) / leads[:, 0]
        mobility = (slope**2).sum(dim=(1, 2)) / (leads[:, 0] * samples)
        complexity = (bend**2).sum(dim=(1, 2)) / (leads[:, 0] * samples) / (mobility + EPSILON)
        step = (bend.abs().amax(dim=-1) / (slope.abs().amax(dim=-1) + EPSILON) * lead_mask).sum(dim=1) / leads[:, 0]
        peaked = [
            (over**2).mean(dim=1) / (over.mean(dim=1) ** 2 + EPSILON)
            for over in ((unit**2).sum(dim=1) / leads, (slope**2).sum(dim=1) / leads)
        ]
        return (torch.stack([size, mobility, complexity, step, *peaked], dim=1) + 1e-4).log()


class Ood(nn.Module):
    """mV, lead mask and tokens → score [N]: 0 where 1 of 100 real ECGs with as many leads lies above (see `fit`)."""

    middle: Tensor
    spread: Tensor
    offset: Tensor

    def __init__(self, token_size: int, hidden: int = 48) -> None:
        """`token_size` 0: the signal alone is judged, and tokens are not looked at."""
        super().__init__()
        self.token_size = token_size
        self.measures = SignalMeasures()
        features = SignalMeasures.count + 2 * token_size
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, 1))
        self.register_buffer("middle", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.register_buffer("offset", torch.zeros(len(LEADS) + 1))

    def features(self, millivolt: Tensor, lead_mask: Tensor, tokens: Tensor) -> Tensor:
        """[N,F], as they are."""
        measures = self.measures(millivolt, lead_mask)
        if not self.token_size:
            return measures
        return torch.cat([measures, tokens.mean(dim=1), tokens.amax(dim=1)], dim=1)

    def raw(self, features: Tensor) -> Tensor:
        """[N,F] → logit [N]; features far out of what was seen count no more than those at ±6."""
        return self.layers(((features - self.middle) / self.spread).clamp(-6, 6)).squeeze(1)

    def forward(self, millivolt: Tensor, lead_mask: Tensor, tokens: Tensor) -> Tensor:
        """See the class."""
        logit = self.raw(self.features(millivolt, lead_mask, tokens))
        return logit - self.offset[lead_mask.sum(dim=1).long()]
