"""The two ECG encoders, called alike: the compact ResNet at 100 Hz, and the paper's ViT at 500 Hz."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from cardiacnets.configuration import from_json
from cardiacnets.models.ecg_mim import EcgMim, EcgMimConfig
from cardiacnets.models.ecg_vit import EcgMae, EcgMaeConfig, EcgVit, EcgVitConfig
from cardiacnets.models.encoder import EncoderConfig, Trunk
from cardiacnets.models.frontend import FrontEnd

AnyTrunk = Trunk | EcgVit
TrunkConfig = EncoderConfig | EcgVitConfig
MaskedConfig = EcgMimConfig | EcgMaeConfig


def make_trunk(config: TrunkConfig) -> AnyTrunk:
    """The trunk of a configuration, with fresh weights."""
    return EcgVit(config) if isinstance(config, EcgVitConfig) else Trunk(config)


def make_masked(config: MaskedConfig) -> EcgMim | EcgMae:
    """The trunk of a configuration and the decoder that it learns with by masked modelling."""
    return EcgMae(config) if isinstance(config, EcgMaeConfig) else EcgMim(config)


def trunk_config(described: Mapping[str, Any]) -> TrunkConfig:
    """The configuration that a checkpoint describes: one with patches is the ViT's."""
    return from_json(EcgVitConfig, described) if "patch" in described else from_json(EncoderConfig, described)


class Encoder(nn.Module):
    """Profile output, amplitude, lead mask and person → tokens [N,T,D], embedding [N,256]."""

    def __init__(self, config: TrunkConfig | None = None) -> None:
        super().__init__()
        config = config or EncoderConfig()
        self.frontend = FrontEnd(config.rate_hz)
        self.trunk = make_trunk(config)

    def forward(
        self, ecg: Tensor, amplitude: Tensor, lead_mask: Tensor, person: Tensor, person_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `FrontEnd` and `Trunk` for shapes and units."""
        tokens, embedding = self.trunk(self.frontend(ecg, amplitude, lead_mask), lead_mask, person, person_mask)
        return tokens, embedding
