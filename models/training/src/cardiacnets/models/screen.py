"""Encoder and both heads as one network: what the screening function runs on every window."""

from torch import Tensor, nn

from cardiacnets.models.encoder import Encoder, EncoderConfig
from cardiacnets.models.heads import FunctionHead, ScreeningHead


class Screen(nn.Module):
    """The fused model of `screen.onnx`."""

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        config = config or EncoderConfig()
        self.encoder = Encoder(config)
        self.screening_head = ScreeningHead(config.embedding)
        self.function_head = FunctionHead(config.embedding)

    def forward(
        self, ecg: Tensor, amplitude: Tensor, lead_mask: Tensor, person: Tensor, person_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs of `Encoder` → condition_logits [N,5], index_mean [N,82], index_logvar [N,82], embedding [N,256]."""
        _, embedding = self.encoder(ecg, amplitude, lead_mask, person, person_mask)
        mean, logvar = self.function_head(embedding)
        return self.screening_head(embedding), mean, logvar, embedding
