"""Prompts for tasks: templates as data, one TOML file per task, and their application to rows.

The wording is our own, in the style of T0 (arXiv:2110.08207). Jinja (extra `train`) is imported when a template is applied.
"""

from taskweb.tasks.templates.rendering import apply_templates, columns_of, render
from taskweb.tasks.templates.template import Prompt, Template, TemplateSet
from taskweb.tasks.templates.template_files import PROMPTED, read_templates, templated_tasks, templates_of

__all__ = [
    "PROMPTED",
    "Prompt",
    "Template",
    "TemplateSet",
    "apply_templates",
    "columns_of",
    "read_templates",
    "render",
    "templated_tasks",
    "templates_of",
]
