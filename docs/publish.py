"""Add built pages to a site with all versions: ``python docs/publish.py docs/_build/html site v0.1.0``.

Each version has a folder of its own. ``versions.json`` lists them, newest release first, for the pages' list of
versions; ``index.html`` leads to the newest release. A version that is there already is replaced.
"""

import json
import re
import shutil
import sys
from pathlib import Path


def publish(pages: Path, site: Path, version: str) -> list[str]:
    """Copy the pages into the site.

    Parameters
    ----------
    pages : Path
        What Sphinx built.
    site : Path
        Folder of the site; made where there is none.
    version : str
        A release such as "0.1.0" or "v0.1.0", or another name such as "dev".

    Returns
    -------
    list of str
        All versions of the site, in the order in which they are listed.
    """
    if not (pages / "index.html").is_file():
        raise SystemExit(f"{pages} has no index.html: build the pages first")
    if not re.fullmatch(r"\w[\w.-]*", version):
        raise SystemExit(f"{version!r} is no name of a version: take letters, digits, dots and dashes")
    version = re.sub(r"^v(?=\d)", "", version)
    shutil.rmtree(site / version, ignore_errors=True)
    shutil.copytree(pages, site / version, ignore=shutil.ignore_patterns(".doctrees", ".buildinfo"))
    versions = sorted((index.parent.name for index in site.glob("*/index.html")), key=_order, reverse=True)
    (site / "versions.json").write_text(json.dumps(versions) + "\n", encoding="utf-8")
    (site / "index.html").write_text(
        f'<!doctype html><meta http-equiv="refresh" content="0; url={versions[0]}/index.html">\n', encoding="utf-8"
    )
    (site / ".nojekyll").touch()  # folders that begin with an underscore are served
    return versions


def _order(version: str) -> tuple[bool, list[int], str]:
    """Releases by their numbers, others below them."""
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    return version[:1].isdigit(), numbers, version


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    print("\n".join(publish(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
