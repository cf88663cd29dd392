"""The report on exchanged electrodes."""

import json

from cardiacnets.signal.electrodes import AsIs, ElectrodeReport, Exchanged, interval, table
from cardiacnets.signal.profile import REPOSITORY


def test_tables_of_the_page_match_the_report():
    written = json.loads((REPOSITORY / "models" / "training" / "reports" / "electrodes.json").read_text())
    report = ElectrodeReport(
        {name: AsIs(**figures) for name, figures in written["asIs"].items()},
        {kind: Exchanged(**figures) for kind, figures in written["kinds"].items()},
    )

    page = (REPOSITORY / "docs" / "electrodes.md").read_text().splitlines()

    rows = [line for line in table(report).splitlines() if line and not line.startswith("| ---")]
    figures = [line.split("|", 2)[2] for line in rows if any(sign.isdigit() for sign in line)]
    assert len(figures) == len(report.kinds) + len(report.asIs)
    assert [figure for figure in figures if not any(line.endswith(figure) for line in page)] == []


def test_interval_of_a_share_is_wilsons():
    low, high = interval(5, 100)

    assert (round(low, 4), round(high, 4)) == (0.0215, 0.1118)  # Wilson 1927; statsmodels' proportion_confint
