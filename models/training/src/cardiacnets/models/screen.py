"""Encoder and both heads as one network: what the screening function runs on every window."""

from torch import Tensor, nn

from cardiacnets.models.encoder import EncoderConfig, Trunk
from cardiacnets.models.frontend import RATE_HZ, FrontEnd
from cardiacnets.models.heads import FunctionHead, ScreeningHead
from cardiacnets.models.ood import Ood
from cardiacnets.models.trunks import Encoder, TrunkConfig


class Screen(nn.Module):
    """Encoder and heads: what training makes."""

    def __init__(self, config: TrunkConfig | None = None) -> None:
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


class ShippedScreen(nn.Module):
    """The fused model of `screen.onnx`: `Screen`, whether its input looks like an ECG, and bundle branch blocks."""

    def __init__(self, screen: Screen, ood: Ood, blocks: nn.Linear | None = None) -> None:
        """`blocks`: from the pooled tokens [N,576] to a logit of each of `BLOCKS`, of an encoder that pools (`Trunk`).

        The person has no part in it: a block is no less one at 25.
        """
        super().__init__()
        self.screen = screen
        self.ood = ood
        self.blocks = blocks
        # The score measures the signal at 100 Hz, whatever the trunk reads.
        self.slow = FrontEnd() if screen.encoder.frontend.rate_hz != RATE_HZ else None

    def forward(
        self, ecg: Tensor, amplitude: Tensor, lead_mask: Tensor, person: Tensor, person_mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Inputs of `Encoder` → outputs of `Screen`, ood [N], and block_logits [N,2] where there are `blocks`."""
        encoder = self.screen.encoder
        millivolt = encoder.frontend(ecg, amplitude, lead_mask)
        trunk = encoder.trunk
        found: tuple[Tensor, ...] = ()
        if self.blocks is not None and isinstance(trunk, Trunk):
            tokens, pooled = trunk.pool(millivolt, lead_mask)
            embedding, found = trunk.embed(pooled, person, person_mask), (self.blocks(pooled),)
        else:
            tokens, embedding = trunk(millivolt, lead_mask, person, person_mask)
        mean, logvar = self.screen.function_head(embedding)
        slow = millivolt if self.slow is None else self.slow(ecg, amplitude, lead_mask)
        score = self.ood(slow, lead_mask, tokens)
        return self.screen.screening_head(embedding), mean, logvar, embedding, score, *found
