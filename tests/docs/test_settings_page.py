"""The page of settings says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from memos.config import Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def documented() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (default, text) for name, default, text in rows}


def test_every_setting_is_documented_with_its_default_and_meaning():
    expected = {
        spec.name: (str(spec.default) or " ", spec.metadata["help"]) for spec in fields(Settings)
    }
    assert documented() == expected
