"""The sections about a web, in the order of the page."""

from __future__ import annotations

from taskweb.report.section import Section
from taskweb.report.sections.web_facts import web_facts
from taskweb.web.transfer_web import TransferWeb


def web_sections(web: TransferWeb, runs: int | None = None, *, seed: int = 0) -> tuple[Section, ...]:  # noqa: ARG001
    """What the web is, its transfers, and what analyses find in them. runs: of the store; seed: of permutations."""
    return (web_facts(web, runs),)
