"""Sphinx configuration: ``python -m sphinx -W -b html docs docs/_build/html`` builds the documentation."""

from pyomo_relugrad import __version__

project = "pyomo_relugrad"
author = "The pyomo_relugrad developers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
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

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    # Scripts that train the networks, and modules that the examples share, are not examples.
    "ignore_pattern": r"(train_\w+|mlp_to_onnx|budget_bound|__init__)\.py$",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 3600,
    "reset_modules": ("matplotlib",),
}

html_theme = "furo"
html_title = f"pyomo_relugrad {release}"
html_copy_source = False
