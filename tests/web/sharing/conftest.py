"""Fixtures of shared webs for this folder."""

from tests.web.sharing.hub import hub, store

__all__ = ["hub", "store"]
