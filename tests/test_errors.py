import ast
from pathlib import Path
from string import Formatter

import pytest

import gan
from gan import errors
from gan.errors import MESSAGES, GanError, reason_of

CLASSES = {
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, GanError)
}


def raised():
    """Every error that gan/ makes: (place, key, names of its values)."""
    for file in sorted(Path(gan.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                keys = (
                    [node.args[0].body, node.args[0].orelse]
                    if isinstance(node.args[0], ast.IfExp)
                    else node.args
                )
                values = (
                    None
                    if any(word.arg is None for word in node.keywords)
                    else {w.arg for w in node.keywords}
                )
                for key in keys:
                    if isinstance(key, ast.Constant):
                        yield f"{file.name}:{node.lineno}", key.value, values


def placeholders(key):
    return {name for _, name, *_ in Formatter().parse(MESSAGES[key]) if name}


def test_every_error_has_a_sentence_and_all_its_values():
    found = list(raised())
    assert len(found) > 40
    for place, key, values in found:
        assert key in MESSAGES, place
        assert values is None or placeholders(key) <= values, place


def test_every_sentence_is_said_somewhere():
    source = "".join(file.read_text() for file in Path(gan.__file__).parent.rglob("*.py"))
    assert [key for key in MESSAGES if source.count(f'"{key}"') < 2] == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "/secret"), "No such file or directory"),
        (ValueError("first line.\nsecond line"), "first line"),
        (EOFError(), "EOFError"),
    ],
)
def test_a_reason_is_one_line_without_a_path_or_a_full_stop(error, reason):
    assert reason_of(error) == reason
