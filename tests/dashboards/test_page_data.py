"""Data: a good and a bad file, looked at, split, searched for duplicates."""

from __future__ import annotations

import json
import re

import pytest
from pymatgen.core import Lattice, Structure
from serving import RUN

from dashboards.uploads import safe_suffix


def table(*, bad: bool) -> bytes:
    """Twenty rock-salt structures with values; one line that cannot be used."""
    lines = []
    for number in range(20):
        structure = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(4 + number / 10), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        )
        value = "much" if bad and number == 7 else number / 10
        lines.append({"id": f"salt-{number}", "structure": json.dumps(structure.as_dict()), "gap": value})
    return "\n".join(map(json.dumps, lines)).encode()


def give(tab, name: str, content: bytes) -> None:
    tab.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


def test_a_good_file_becomes_a_dataset_with_a_split(tabs):
    tab = tabs.open("/data")
    give(tab, "salts.jsonl", table(bad=False))
    tab.get_by_text("salts.jsonl: a table, 20 rows").wait_for()
    tab.get_by_label("Unit of the values").fill("eV")
    tab.get_by_role("button", name="Check").click()
    tab.get_by_text("20 of 20 rows can be taken; nothing is written yet.").wait_for(timeout=RUN)
    tab.get_by_role("button", name="Add to my datasets").click()
    tab.get_by_text("20 of 20 rows added.").wait_for(timeout=RUN)
    tab.wait_for_url(re.compile("task=salts"))
    share = tab.get_by_label("Validation share")
    share.fill("0.1")
    share.press("Tab")
    tab.get_by_role("button", name="Set split").click()
    tab.get_by_text("split 0: 14 / 2 / 4").wait_for()
    tab.get_by_role("button", name="Look for duplicates").click()
    tab.get_by_text("Search finished").wait_for(timeout=RUN)


def test_a_bad_row_is_told_with_its_line_and_a_bad_file_in_one_sentence(tabs):
    tab = tabs.open("/data")
    give(tab, "half.jsonl", table(bad=True))
    tab.get_by_text("half.jsonl: a table, 20 rows").wait_for()
    tab.get_by_role("button", name="Check").click()
    tab.get_by_text("19 of 20 rows can be taken").wait_for(timeout=RUN)
    tab.get_by_role("gridcell", name="salt-7").wait_for()
    give(tab, "nothing.csv", b"\x00\x01\x02")
    tab.get_by_text("nothing.csv").first.wait_for()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.cif", "a/b\\c.csv", "POSCAR", "x" * 300 + ".cif", "<b>.cif", "no suffix"]
)
def test_names_of_files_are_never_paths(name):
    assert "/" not in safe_suffix(name)
    assert len(safe_suffix(name)) <= 20
