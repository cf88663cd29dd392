import json

from cardiacnets.cli.synthesis_fixture import OUT
from cardiacnets.reference.drawing import seconds_per_cine


def test_cine_can_be_timed_from_a_manifest() -> None:
    synthesis = json.loads((OUT / "manifest.json").read_text())["synthesis"]
    sampler = synthesis["samplers"][0] | {"steps": 1}

    seconds = seconds_per_cine(synthesis, sampler)

    assert seconds > 0
