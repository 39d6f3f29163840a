"""What a report collects beside its web."""

from __future__ import annotations

import taskweb
from taskweb.cli.options.report_options import TargetSectionOptions
from taskweb.cli.report_findings import target_sections
from taskweb.report.figure import Figure
from taskweb.web.published import published_web
from taskweb.web.setup_scores import scores_by_setup
from taskweb.workflows.progress import silent


def test_a_measured_target_has_the_intervals_of_its_transfers() -> None:
    web = published_web()
    scores = scores_by_setup(web)
    asked = TargetSectionOptions(target=["rte"], setup="t5l/finetune")
    (section,) = target_sections(asked, web, scores, silent)
    gains = next(part for part in section.parts if isinstance(part, Figure) and part.name == "target-1-gains")
    first = taskweb.rank("rte", setup="t5l/finetune").sources[0].task
    at = scores.names.index("t5l/finetune"), web.target_index("rte"), web.source_index(first)
    assert scores.pc is not None
    pc, reach, harm = (float(array[at]) for array in (scores.pc, scores.reach, scores.harm))
    assert gains.table.rows[0] == (first, pc, pc - reach, pc + reach)
    ends = " to ".join(f"{100 * end:+.1f}%".replace("-", "−") for end in (pc - reach, pc + reach))
    said = "below 1%" if harm < 0.005 else f"of {100 * harm:.0f}%"
    assert f"(95% interval {ends}) and a probability of harm {said}" in gains.sentence
