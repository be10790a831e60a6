"""Sphinx configuration: ``sphinx-build -W -b html docs docs/_build/html``."""

import importlib.util
import itertools
import os
import re
import shutil
import socket
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

import matplotlib.pyplot as plt
import numpy as np
import sklearn

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
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]

# Pages ----------------------------------------------------------------------------------------

source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

# API reference --------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
default_role = "literal"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Links to other projects need their inventories, which come from the network, if there is one.
# Those within the project are checked.

OTHERS = {
    "ase": "https://ase-lib.org/",
    "dask": "https://docs.dask.org/en/stable/",
    "distributed": "https://distributed.dask.org/en/stable/",
    "joblib": "https://joblib.readthedocs.io/en/stable/",
    "matplotlib": "https://matplotlib.org/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "optuna_integration": "https://optuna-integration.readthedocs.io/en/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "sklearn": "https://scikit-learn.org/stable/",
}


def is_reachable(url):
    """Tell whether the host answers."""
    try:
        socket.create_connection((url.split("/")[2], 443), timeout=2).close()
    except OSError:
        return False
    return True


intersphinx_mapping = {name: (url, None) for name, url in OTHERS.items() if is_reachable(url)}
nitpicky = True
nitpick_ignore_regex = [("py:.*", rf"({package})\..*") for package in OTHERS]


def skip_member(app, what, name, obj, skip, options):
    """Leave out what scikit-learn generates: its text points into its own user guide."""
    return True if re.fullmatch(r"set_\w+_request|get_metadata_routing", name) else skip


def copy_mathjax(app, error):
    """Put MathJax and its fonts beside the pages, so that formulas need no network."""
    if error is None and app.builder.format == "html" and MATHJAX:
        target = Path(app.outdir, "_static", "mathjax")
        fonts = Path("output", "chtml", "fonts", "woff-v2")
        (target / fonts).mkdir(parents=True, exist_ok=True)
        shutil.copy(MATHJAX / "tex-chtml-full.js", target)
        shutil.copytree(MATHJAX / fonts, target / fonts, dirs_exist_ok=True)


def draw_first_page(app):
    """Run the code of the first page, and keep the picture that it makes."""
    text = Path(app.srcdir, "index.md").read_text(encoding="utf-8")
    namespace = {}
    exec(re.search(r"(?s)```python\n(.*?)```", text).group(1), namespace)
    save_figure(app, namespace["display"].figure_, "index")


def save_figure(app, figure, name):
    """Keep a picture beside those that do not change."""
    folder = Path(app.srcdir, "_static", "generated")
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=200)
    plt.close(figure)


def table_below(text, heading):
    """Return the rows of the first table of a page whose head begins so."""
    lines = text[text.index(f"| {heading}"):].splitlines()
    rows = [row.strip("|") for row in itertools.takewhile(lambda line: line.startswith("|"), lines)]
    return [[cell.strip() for cell in row.split("|")] for row in rows if "---" not in row]


def draw_benchmarks(app):
    """Draw what the tables of the page of benchmarks hold."""
    text = Path(app.srcdir, "benchmarks.md").read_text(encoding="utf-8")
    figure, axes = plt.subplots(
        1, 4, figsize=(14, 3.4), layout="constrained", width_ratios=[3, 3, 4, 2.5]
    )
    head, *rows = table_below(text, "system | features")
    alloys = [row for row in rows if row[0].startswith("alloy")]
    for name in ("skdesc", "dscribe", "featomic", "quippy"):
        times = [float(row[head.index(name)]) for row in alloys]
        axes[0].loglog([int(row[0].split()[1]) for row in alloys], times, "o-", label=name)
    axes[0].set(xlabel="elements", title="SOAP of an alloy", xticks=[4, 8, 16, 25])
    axes[0].xaxis.set_major_formatter("{x:.0f}")
    axes[0].minorticks_off()
    _, *rows = table_below(text, "atoms | microseconds per step")
    atoms, _, now, before, _ = np.array(rows, dtype=float).T
    axes[1].loglog(atoms, now, "o-", label="skdesc")
    axes[1].loglog(atoms, before / atoms, "o--", color="0.6", label="before")
    axes[1].set(xlabel="atoms", title="step of the ASE calculator", ylim=(10, 300))
    _, *rows = table_below(text, "potential | per atom and step")
    bars = axes[2].barh([row[0].split(" (")[0] for row in rows], [float(row[1]) for row in rows])
    axes[2].bar_label(bars, padding=3)
    axes[2].set(title="step of 256 copper atoms", xscale="log", xlim=(0.5, 50_000))
    head, *rows = table_below(text, "descriptors of 43,200 atoms")
    for k, row in enumerate(rows):
        bars = axes[3].bar(
            np.arange(len(row) - 1) + 0.3 * (k - 1), [float(time) for time in row[1:]], 0.3,
            label=row[0], color=["C0", "C1", "0.6"][k],
        )
        axes[3].bar_label(bars, padding=3, fontsize="small")
    axes[3].set(title="threads", ylabel="time relative to one thread", ylim=(0, 3.4),
                xticks=range(len(head) - 1),
                xticklabels=[name.replace(" ", "\n", 1) for name in head[1:]])
    axes[3].legend(frameon=False, fontsize="small")
    for axis in axes[:2]:
        axis.set_ylabel("microseconds per atom")
        axis.legend(frameon=False, fontsize="small")
    axes[2].set_xlabel("microseconds per atom")
    save_figure(app, figure, "benchmarks")


def setup(app):
    app.connect("builder-inited", draw_first_page)
    app.connect("builder-inited", draw_benchmarks)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("build-finished", copy_mathjax)


# Formulas: MathJax of the package sphinx-mathjax-offline; without it, from the network

_spec = importlib.util.find_spec("sphinx-mathjax-offline")
MATHJAX = Path(_spec.origin).parent / "static" / "mathjax" if _spec else None
if MATHJAX:
    mathjax_path = "mathjax/tex-chtml-full.js"


# Gallery: plot_*.py are executed, all others only shown (tests/integration/test_automl.py and
# .ci/run execute those). Public data that are not in the data home are replaced by bundled ones.


def reset_sklearn(gallery_conf, name):
    """Undo what an example has set for its whole process."""
    sklearn.set_config(**SKLEARN_CONFIG)


SKLEARN_CONFIG = sklearn.get_config()
SECTIONS = ["tune", "many_elements", "uncertainty", "automl", "engines"]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "subsection_order": [f"../examples/{name}" for name in SECTIONS],
    "download_all_examples": False,
    "show_memory": False,
    "reset_modules": ("matplotlib", reset_sklearn),
    "reset_modules_order": "both",
    "write_computation_times": False,  # its pages load scripts from the network
    "min_reported_time": 1,
    "plot_gallery": "True",
}

# HTML -----------------------------------------------------------------------------------------

TOP_PAGES = [page.stem for page in Path(__file__).parent.glob("*.md") if page.stem != "index"]
html_theme = "pydata_sphinx_theme"
html_title = f"skdesc {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
# pages without others below them have nothing to list beside them
html_sidebars = {name: [] for name in ("index", "search", "genindex", *TOP_PAGES)}
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
