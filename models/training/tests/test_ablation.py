import torch

from cardiacnets.data.real import no_real
from cardiacnets.models.encoder import Trunk
from cardiacnets.stages.ablation import VARIANTS, AblationConfig, report_ablation, run_ablation
from cardiacnets.stages.screening import TrainingData

from .conftest import TINY, tiny_config


def test_stopped_ablation_resumes_and_its_report_pairs_the_variants(training_data, tmp_path):
    data = TrainingData(no_real(), training_data.virtual)
    torch.manual_seed(0)
    trunks = {variant: (lambda: Trunk(TINY)) if variant != "scratch" else (lambda: None) for variant in VARIANTS}
    config = AblationConfig(fractions=(0.5, 1.0), steps=(4, 4), seeds=(1,), batch=8)

    run_ablation(config, tiny_config(), data, trunks, tmp_path)
    (tmp_path / "masked-1-1.npz").unlink()
    kept = (tmp_path / "scratch-1-1.npz").stat().st_mtime_ns
    run_ablation(config, tiny_config(), data, trunks, tmp_path)
    report = report_ablation(data, tmp_path, rounds=10)

    assert (tmp_path / "scratch-1-1.npz").stat().st_mtime_ns == kept
    assert len(report["runs"]) == 6
    assert {(entry["better"], entry["than"]) for entry in report["paired"]} == {
        ("contrastive", "masked"),
        ("contrastive", "scratch"),
        ("masked", "scratch"),
    }
    for entry in report["paired"]:
        low, high = entry["meanR"]["ci"]
        assert low <= high
