"""What the benchmark of proven boxes makes of the proofs in its file."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from proven_boxes import Proof, known_proofs, row

PROVEN = Proof(seed=0, box=2, route="omlt", value=1.0, bound=1.00005, seconds=3.0)


def test_proofs_come_back_from_their_file(tmp_path):
    file, proofs = tmp_path / "proofs.jsonl", [PROVEN, replace(PROVEN, box=3)]
    assert known_proofs(file) == []
    file.write_text("".join(json.dumps(asdict(proof)) + "\n" for proof in proofs))
    assert known_proofs(file) == proofs


def test_answers_count_where_no_better_point_is_possible():
    proofs = [PROVEN, replace(PROVEN, box=1, bound=1.5), replace(PROVEN, box=1, route="exact", seconds=5.0)]
    assert not proofs[1].is_complete
    assert row("all", proofs, [0.9999, 1.0]) == "| all | 2 | 2 | 4.0 | 1 |"
    assert row("omlt", proofs[:2], [0.9999, 1.0]) == "| omlt | 2 | 1 | 3.0 | 1 |"
    assert row("omlt", proofs[1:2], [1.0]) == "| omlt | 1 | 0 | - | 0 |"
