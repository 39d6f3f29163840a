"""Tasks and examples: their records, their sources, and the catalogue of tasks."""

from taskweb.tasks.catalogue import catalogue, find_task
from taskweb.tasks.example_sets import Sampling, example_files, load_examples, load_folder
from taskweb.tasks.reading.named_columns import Columns
from taskweb.tasks.task import Example, ExampleSet, HubSource, Task

__all__ = [
    "Columns",
    "Example",
    "ExampleSet",
    "HubSource",
    "Sampling",
    "Task",
    "catalogue",
    "example_files",
    "find_task",
    "load_examples",
    "load_folder",
]
