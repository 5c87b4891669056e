"""What the sources must not contain."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PICKLES = re.compile(
    r"(?:import|from) c?pickle|pickle\.|(?<!safetensors\.)torch\.(?:load|save)\(|allow_pickle|joblib|shelve"
)
FOLDERS = ("gan", "benchmarks", "tools")
SOURCES = [ROOT / "app.py", *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_reads_or_writes_a_pickle(path: Path) -> None:
    found = PICKLES.findall(path.read_text())
    assert found == []


def test_the_page_names_nothing_outside_itself() -> None:
    for path in (ROOT / "gan" / "ui").iterdir():
        if path.suffix in {".py", ".js", ".css"}:
            assert re.findall(r"https?://(?!\{)", path.read_text()) == [], path.name
