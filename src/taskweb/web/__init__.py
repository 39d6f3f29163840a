"""Webs of measured transfers: matrices, scores from runs, stores and file formats, and the published web."""

from taskweb.web.bank import PROBE_TEXTS, EncoderStamp, ExampleBank, load_bank, save_bank
from taskweb.web.records.run_table import RunTable
from taskweb.web.scores import score_runs
from taskweb.web.transfer_web import ALL_SETUPS, TransferWeb, combined_score

__all__ = [
    "ALL_SETUPS",
    "PROBE_TEXTS",
    "EncoderStamp",
    "ExampleBank",
    "RunTable",
    "TransferWeb",
    "combined_score",
    "load_bank",
    "save_bank",
    "score_runs",
]
