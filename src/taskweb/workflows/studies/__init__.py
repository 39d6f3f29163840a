"""Studies: the questions that the paper asks first, as commands, one study per file."""

from taskweb.workflows.studies.ksweep import KSweep, SweepPoint, published_sweep, sweep_of_table
from taskweb.workflows.studies.pivots import PivotPoint, PivotStudy, study_pivots
from taskweb.workflows.studies.sanity import SanityRow, SanityStudy, study_sanity

__all__ = [
    "KSweep",
    "PivotPoint",
    "PivotStudy",
    "SanityRow",
    "SanityStudy",
    "SweepPoint",
    "published_sweep",
    "study_pivots",
    "study_sanity",
    "sweep_of_table",
]
