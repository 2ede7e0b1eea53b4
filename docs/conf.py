"""Sphinx configuration: ``python -m sphinx -W -b html docs docs/_build/html`` builds the documentation."""

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

from pyomo_relugrad import __version__

sys.path.insert(0, str(Path(__file__).parent))
from gallery_setup import EXAMPLES

# Pyomo writes the sections Config and Keyword Arguments into the docstrings of solvers.
warnings.filterwarnings("ignore", message="Unknown section (Config|Keyword Arguments)")

project = "pyomo_relugrad"
author = "The pyomo_relugrad developers"
project_copyright = "2026, The pyomo_relugrad developers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
default_role = "py:obj"
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["dollarmath", "deflist", "fieldlist"]
myst_heading_anchors = 3

plot_working_directory = str(EXAMPLES)
plot_html_show_source_link = False
plot_html_show_formats = False
plot_include_source = True
plot_formats = [("png", 120)]

sphinx_gallery_conf = {
    "examples_dirs": str(EXAMPLES),
    "gallery_dirs": "gallery",
    # Scripts that train the networks, and modules that the examples share, are not examples.
    "ignore_pattern": r"(train_\w+|mlp_to_onnx|budget_bound|__init__)\.py$",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery_setup.ReadingOrder",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 3600,
    "reset_modules": ("matplotlib", "gallery_setup.prepare"),
}

html_theme = "furo"
html_title = f"pyomo_relugrad {release}"
html_copy_source = False
html_css_files = ["pages.css"]
html_js_files = ["versions.js"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}

# MathJax goes with the pages: one file of the package django-static-mathjax (it needs no Django).
mathjax_path = "tex-svg.js"
html_static_path = [
    "_static",
    str(Path(find_spec("mathjax").origin).parent / "static" / "mathjax" / "es5" / mathjax_path),
]
