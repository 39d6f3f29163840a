"""The sentence on one task says which targets the average source helps, or that it helps none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from taskweb.report.section import View
from taskweb.report.sections.one_task import one_task
from taskweb.web.setup_scores import scores_by_setup
from taskweb.web.transfer_web import TransferWeb
from tests.conftest import made_up_web


def sentence(web: TransferWeb) -> str:
    (view,) = one_task(web, scores_by_setup(web)).parts
    assert isinstance(view, View)
    return view.sentence


def test_the_average_source_helps_or_harms() -> None:
    web = replace(made_up_web(3, 3), pc=None, pm=None)
    helped = replace(web, t=np.abs(web.t) + 0.01)
    assert sentence(helped).startswith("The average source helps ")
    assert " no target" not in sentence(helped)
    assert sentence(replace(helped, t=-helped.t)).startswith("The average source helps no target; it harms ")
