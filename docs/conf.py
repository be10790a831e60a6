"""Sphinx configuration: ``sphinx-build -W -b html docs docs/_build/html``."""

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

import skdesc

EXAMPLES = Path(__file__).parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

project = "skdesc"
author = "the skdesc developers"
copyright = author
release = version = skdesc.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]

# Pages ----------------------------------------------------------------------------------------

source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["amsmath", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

# API reference --------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
default_role = "literal"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# links within the project are checked; others would need the inventories of other projects
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", rf"({package})\..*")
    for package in ("ase", "sklearn", "numpy", "scipy", "matplotlib", "dask", "distributed",
                    "optuna_integration", "joblib")
]  # fmt: skip


def skip_member(app, what, name, obj, skip, options):
    """Leave out what scikit-learn generates: its text points into its own user guide."""
    return True if re.fullmatch(r"set_\w+_request|get_metadata_routing", name) else skip


def setup(app):
    app.connect("autodoc-skip-member", skip_member)


# Gallery: plot_*.py are executed, all others only shown (tests/integration/test_automl.py and
# .ci/run execute those). Public data that are not in the data home are replaced by bundled ones.

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1,
    "plot_gallery": "True",
}

# HTML -----------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skdesc"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
