"""Studies: the first questions of the paper, one study per file."""

from taskweb.workflows.studies.ksweep import KSweep, SweepPoint, published_sweep, sweep_of_table
from taskweb.workflows.studies.pivots import PivotPoint, PivotStudy, study_pivots
from taskweb.workflows.studies.sanity import SanityRow, SanityStudy, study_sanity
from taskweb.workflows.studies.study_settings import StudySettings

__all__ = [
    "KSweep",
    "PivotPoint",
    "PivotStudy",
    "SanityRow",
    "SanityStudy",
    "StudySettings",
    "SweepPoint",
    "published_sweep",
    "study_pivots",
    "study_sanity",
    "sweep_of_table",
]
