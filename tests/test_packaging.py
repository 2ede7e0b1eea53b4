"""What is shipped: one version, the commands, and the oldest and newest versions that are tested."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from importlib import import_module, metadata
from pathlib import Path

import pytest
from pyomo.scripting import pyomo_main

import pyomo_relugrad
from pyomo_relugrad.cli import main
from pyomo_relugrad.cli.versions import USED, version_report

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def setup() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_there_is_one_version(setup: ConfigParser) -> None:
    assert setup["metadata"]["version"] == "attr: pyomo_relugrad.version.__version__"
    version = pyomo_relugrad.__version__
    assert metadata.version("pyomo_relugrad") == version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.M).group(1) == version
    recipe = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    assert re.search(r'set version = "(.*)"', recipe).group(1) == version
    citing = (ROOT / "docs" / "citing.md").read_text(encoding="utf-8")
    assert re.search(r"version = {(.*)}", citing).group(1) == version


def test_the_recipe_needs_what_the_package_needs(setup: ConfigParser) -> None:
    recipe = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    needed = [line.replace(" ", "") for line in setup["options"]["install_requires"].split("\n") if line]
    run = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    assert [line.strip("- ").replace(" ", "") for line in run.splitlines()[1:]] == needed


def test_the_report_of_versions_for_bug_reports() -> None:
    lines = version_report().splitlines()
    assert lines[0] == f"pyomo_relugrad {pyomo_relugrad.__version__}"
    assert f"pyomo {metadata.version('pyomo')}" in lines
    assert not any("is missing" in line for line in lines)
    assert lines[-1].endswith(" cores")


def test_the_report_knows_what_the_extras_bring(setup: ConfigParser) -> None:
    extras = dict(setup["options.extras_require"])
    brought = [line for name in extras.keys() - {"test", "docs"} for line in extras[name].split("\n") if line]
    assert {re.split(r"[ \[]", line)[0] for line in brought} <= set(USED)


def test_pyomo_finds_the_solvers_from_its_own_command_line(setup: ConfigParser) -> None:
    declared = dict(line.split(" = ") for line in setup["options.entry_points"]["pyomo.command"].split("\n") if line)
    assert declared == {"relugrad": "pyomo_relugrad"}
    found = [entry.value for entry in metadata.entry_points(group="pyomo.command") if entry.name == "relugrad"]
    assert found == ["pyomo_relugrad"]
    pyomo_main.load_entry_points()
    assert pyomo_relugrad in pyomo_main.pyomo_commands


def test_the_script_is_the_command_line(setup: ConfigParser) -> None:
    declared = dict(line.split(" = ") for line in setup["options.entry_points"]["console_scripts"].split("\n") if line)
    entry = metadata.EntryPoint("relugrad", declared["relugrad"], "console_scripts")
    assert entry.load() is main


def test_the_workflow_checks_the_oldest_versions_and_all_pythons(setup: ConfigParser) -> None:
    workflow_file, oldest_file = ROOT / ".github" / "workflows" / "checks.yml", ROOT / ".ci" / "oldest.txt"
    if not workflow_file.exists():
        pytest.skip("not in the source distribution")
    workflow = workflow_file.read_text(encoding="utf-8")
    assert "options: -c .ci/oldest.txt}" in workflow
    oldest = dict(re.findall(r"^([\w-]+)==([\d.]+)", oldest_file.read_text(encoding="utf-8"), re.MULTILINE))
    declared = setup["options"]["install_requires"] + setup["options.extras_require"]["test"]
    for name, least in re.findall(r"^([\w-]+)[^ ]* >= ([\d.]+)", declared, re.MULTILINE):
        if name not in ("ruff", "mypy"):
            assert f"{oldest[name]}.".startswith(f"{least}."), name
    named = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    tested = re.search(r"python: \[(.*)\]", workflow).group(1)
    assert re.findall(r"3\.\d+", tested) == named


def test_the_workflow_checks_pinned_versions_and_the_newest(setup: ConfigParser) -> None:
    workflow_file, pins = ROOT / ".github" / "workflows" / "checks.yml", ROOT / ".ci" / "pinned.txt"
    if not workflow_file.exists():
        pytest.skip("not in the source distribution")
    workflow = workflow_file.read_text(encoding="utf-8")
    assert "options: -c .ci/pinned.txt}" in workflow
    assert "--upgrade --upgrade-strategy eager" in workflow
    pinned = set(re.findall(r"^([\w-]+)==", pins.read_text(encoding="utf-8"), re.MULTILINE))
    required = re.findall(r"^([\w-]+) ", setup["options"]["install_requires"], re.MULTILINE)
    assert len(required) >= 8
    assert set(required) <= pinned


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)]*)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert links
    missing = [link for link in links if "://" not in link and not (ROOT / link.partition("#")[0]).exists()]
    assert missing == []


def test_pages_of_all_versions_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    publish = import_module("publish").publish
    pages, site = tmp_path / "html", tmp_path / "site"
    with pytest.raises(SystemExit, match="build the pages first"):
        publish(pages, site, "dev")
    pages.mkdir()
    (pages / "index.html").write_text("first")
    with pytest.raises(SystemExit, match="no name of a version"):
        publish(pages, site, "../dev")
    for version in ("dev", "v0.9.0", "v0.10.0"):
        listed = publish(pages, site, version)
    assert listed == json.loads((site / "versions.json").read_text()) == ["0.10.0", "0.9.0", "dev"]
    assert "url=0.10.0/index.html" in (site / "index.html").read_text()
    (pages / "index.html").write_text("second")
    assert publish(pages, site, "dev") == listed
    assert [(site / name / "index.html").read_text() for name in ("dev", "0.9.0")] == ["second", "first"]
