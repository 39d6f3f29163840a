"""How long trials will still take: from the known share of each of their steps in the whole, and from the speed so far."""

from __future__ import annotations

from dataclasses import dataclass

from taskweb.workflows.trial_records import TrialSettings

# CPU time of a step, in that of training and evaluating the models of one target (2.1 s, with the settings of the demo).
_LOADING, _WEB, _TARGET = 1.5, 5.0, 1.0


@dataclass(frozen=True, slots=True)
class TrialTime:
    """The time of trials that `workers` processes make. All webs are begun before the models of any target."""

    settings: TrialSettings
    workers: int

    def share(self, webs: int, targets: int) -> float:
        """The share of all work that is done, 0 to 1, after some webs and the models of some targets."""
        return self._done(webs, targets) / self._total if webs or targets else 0.0

    def seconds_left(self, webs: int, targets: int, elapsed: float) -> float | None:
        """The seconds that the rest takes at the speed of the first `elapsed` ones; None before the first step is done.

        Steps under way count as half done.
        """
        if not webs and not targets:
            return None
        done = self._done(webs, targets)
        done += self._under_way(webs, targets) / 2
        return elapsed * (self._total - done) / done

    @property
    def _total(self) -> float:
        return self._done(len(self.settings.families), self._targets)

    @property
    def _targets(self) -> int:
        return len(self.settings.families) * self.settings.targets * len(self.settings.seeds)

    def _done(self, webs: int, targets: int) -> float:
        return _LOADING * self.workers + _WEB * webs + _TARGET * targets

    def _under_way(self, webs: int, targets: int) -> float:
        measuring = min(self.workers, len(self.settings.families) - webs)
        return _WEB * measuring + _TARGET * min(self.workers - measuring, self._targets - targets)
