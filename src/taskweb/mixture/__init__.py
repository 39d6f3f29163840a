"""Mixtures: tasks with sampling rates and a budget, sampled into a training set with a manifest."""

from taskweb.mixture.mixture import MixedExample, Mixture, MixtureTask
from taskweb.mixture.mixture_reader import read_mixture
from taskweb.mixture.mixture_writer import FORMATS, write_mixture

__all__ = ["FORMATS", "MixedExample", "Mixture", "MixtureTask", "read_mixture", "write_mixture"]
