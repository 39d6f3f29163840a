"""Reports: figures that are drawn from plain numbers."""

from taskweb.report.figures import Panel, Series, figure_format, write_figure

__all__ = ["Panel", "Series", "figure_format", "write_figure"]
