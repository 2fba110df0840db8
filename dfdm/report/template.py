"""The templates of the pages, with the filters that they share."""

import jinja2

from dfdm.base import palette
from dfdm.base.progress import duration
from dfdm.base.text import decimal, listed, multiples, percent, size_text, spelled
from dfdm.report.attribution import CONTROL_FIGURES, NAMED, bounds_text
from dfdm.report.evaluation import FIGURES


def template(name: str) -> jinja2.Template:
    """A template of this folder; a name that it does not know is an error."""
    loader, strict = jinja2.PackageLoader("dfdm.report", "."), jinja2.StrictUndefined
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(palette=palette, named=NAMED, control_figures=CONTROL_FIGURES, figures=FIGURES)
    environment.filters.update(size=size_text, percent=percent, decimal=decimal, duration=duration)
    environment.filters.update(multiples=multiples, listed=listed, bounds=bounds_text, spelled=spelled)
    return environment.get_template(name)
