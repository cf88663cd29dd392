from cardiacnets.cli.paper_cost import paper_stages


def test_costs_are_of_the_networks_masks_and_epochs_of_the_papers_file():
    cmr, ecg, heads = paper_stages()

    masked, hidden = cmr.build().config, ecg.build().config
    assert (masked.mask_ratio, cmr.batch, cmr.epochs, cmr.runs) == (0.5, 64, 400, 2)
    assert (hidden.mask_ratio, ecg.batch, ecg.epochs) == (0.8, 32, 400)
    assert heads.epochs == 400 + 50
