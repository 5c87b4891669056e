"""Every sentence exists in both languages, with the same placeholders, and is used."""

import re
import string
from pathlib import Path

import pytest

from gan.errors import MESSAGES, ConfigError
from gan.snapshot import Status
from gan.ui.text import ERRORS_ZH, LANGUAGES, TEXT, language_of, say_error

UI = Path(__file__).parents[1] / "gan" / "ui"


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("key", TEXT)
def test_a_sentence_has_the_same_placeholders_in_both_languages(key: str) -> None:
    english, chinese = TEXT[key]
    assert english
    assert chinese
    assert placeholders(english) == placeholders(chinese)


def test_every_engine_error_has_its_chinese_sentence() -> None:
    assert ERRORS_ZH.keys() == MESSAGES.keys()
    for key, english in MESSAGES.items():
        assert placeholders(english) == placeholders(ERRORS_ZH[key]), key


def test_every_key_that_the_page_names_exists_and_every_key_is_named() -> None:
    sources = "".join(path.read_text() for path in UI.glob("*.py") if path.name != "text.py")
    named = set(re.findall(r'["\']([a-z][a-z0-9_]*)["\']', sources)) | {str(status) for status in Status}
    named |= {
        f"{which}_{part}" for which in ("loss", "score", "quality") for part in ("title", "empty", "alt")
    }
    found = set(re.findall(r'Diagnosis\(\s*"([a-z-]+)"', (UI.parent / "diagnosis.py").read_text())) | {
        "learning",
        "steady",
    }
    named |= {f"diagnosis_{key.replace('-', '_')}" for key in found}
    named |= {f"weights_{weights}" for weights in ("ema", "raw")}
    named |= {f"{field}_info" for field in ("loss", "r1", "label_smoothing", "decay", "ema")}
    assert TEXT.keys() - named == set()
    asked = re.findall(r'(?:say|label|in_both|panel|_image)\(\s*"([a-z_0-9]+)"', sources)
    assert set(asked) - TEXT.keys() == set()


def test_an_error_names_a_setting_as_the_page_does() -> None:
    error = ConfigError("out-of-range", field="lr_g", value=9, allowed="1e-06 to 0.1")
    assert say_error(error, "en") == "Learning rate of G is 9; allowed is 1e-06 to 0.1."
    assert say_error(error, "zh").startswith("G 的学习率 的值是 9")


def test_only_chinese_browsers_get_chinese() -> None:
    assert [language_of(wish) for wish in ("zh-CN", "zh", "en-US", "fr", "", None)] == [
        "zh", "zh", "en", "en", "en", "en",
    ]  # fmt: skip
    assert LANGUAGES == ("en", "zh")
