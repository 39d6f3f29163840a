"""The example target that comes with taskweb: own sentences, taken from no data set."""

from __future__ import annotations

from importlib.resources import as_file, files

from taskweb.tasks import ExampleSet, load_examples


def demo_target() -> ExampleSet:
    """Thirty-two unlabelled examples: does a leaflet support, contradict or leave open a claim?"""
    with as_file(files("taskweb.tasks").joinpath("data/leaflet_claims.jsonl")) as path:
        return load_examples(path)
