"""Work as it is written down for workers that read it from a file."""

from __future__ import annotations

from taskweb.errors import InputError
from taskweb.experiments.executors.base import OpenJob
from taskweb.experiments.specs import FusedGroups, RunGroup, Work
from taskweb.experiments.spool import Piece


def piece_of(number: int, work: Work, opened: OpenJob) -> Piece:
    """Work as it is written down for a worker."""
    groups = work.groups if isinstance(work, FusedGroups) else (work,)
    keys = tuple(opened.runner.record_of(spec).key for spec in work.specs())
    named = tuple((group.setup.name, group.source, group.seed, group.targets) for group in groups)
    return Piece(number, named, keys, isinstance(work, FusedGroups), work.most if isinstance(work, FusedGroups) else None)


def work_of_piece(piece: Piece, opened: OpenJob) -> Work:
    """The work that was written down. Raises InputError where the plan or its data are not those of the piece any more."""
    setups = {setup.name: setup for setup in opened.plan.setups}
    changed = InputError("The plan or its examples were changed while it ran. Run it again, and leave them until it is done.")
    try:
        groups = tuple(RunGroup(setups[setup], source, seed, targets) for setup, source, seed, targets in piece.groups)
        work: Work = FusedGroups(groups, piece.most) if piece.fused else groups[0]
        if tuple(opened.runner.record_of(spec).key for spec in work.specs()) != piece.keys:
            raise changed
    except KeyError:
        raise changed from None
    return work
