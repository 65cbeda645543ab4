from pathlib import Path

import pytest

from memos import config
from memos.errors import InvalidSetting


def test_every_setting_has_a_default_and_a_help_text():
    settings = config.load({})
    for spec in config.fields(settings):
        assert spec.metadata["help"], spec.name
    assert settings.sql_url.startswith("sqlite:///")
    assert settings.is_sqlite


def test_an_argument_wins_over_the_environment_which_wins_over_the_default():
    settings, origin = config.explain({"MEMOS_PORT": "9000", "MEMOS_HOST": "::1"}, port=9001)
    assert (settings.port, origin["port"]) == (9001, "argument")
    assert (settings.host, origin["host"]) == ("::1", "environment")
    assert origin["max_batch"] == "default"


def test_an_argument_of_none_is_passed_over():
    assert config.load({"MEMOS_PORT": "9000"}, port=None).port == 9000


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
def test_true_words(word):
    assert config.load({"MEMOS_OFFLINE": word}).offline is True


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("MEMOS_PORT", "eight", "MEMOS_PORT"),
        ("MEMOS_PORT", "70000", "65535"),
        ("MEMOS_OFFLINE", "maybe", "MEMOS_OFFLINE"),
        ("MEMOS_VECTOR_INDEX", "faiss", "pgvector"),
        ("MEMOS_MAX_BATCH", "0", "minimum is 1"),
        ("MEMOS_PROT", "1", "MEMOS_PROT"),
        ("MEMOS_DATA_DIR", "", "MEMOS_DATA_DIR"),
        ("MEMOS_DATA_DIR", " ", "MEMOS_DATA_DIR"),
    ],
)
def test_a_bad_setting_is_refused_by_name(name, value, named):
    with pytest.raises(InvalidSetting, match=named):
        config.load({name: value})


def test_an_unknown_override_is_refused():
    with pytest.raises(InvalidSetting, match="colour"):
        config.load({}, colour="red")


def test_the_data_folder_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert config.load({}, data_dir=Path("here")).data_dir == tmp_path / "here"


def test_only_config_reads_the_environment():
    root = Path(config.__file__).parent.parent
    readers = [
        path.relative_to(root).as_posix()
        for part in ("memos", "storage", "api", "kvcache")
        for path in (root / part).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents)
        and "os.environ" in path.read_text()
        and path.name != "config.py"
    ]
    # These hand their own environment on to a process they start, or set it for a library there.
    assert set(readers) <= {
        "kvcache/generator/provider.py",
        "memos/cli/demo.py",
        "memos/embedding/export.py",
        "memos/embedding/exporter.py",
        "memos/extraction/llm/provider.py",
    }


def test_the_password_of_the_database_is_not_shown():
    settings = config.load({"MEMOS_DATABASE_URL": "postgresql://memos:hunter2@db/memos"})
    assert "hunter2" in settings.sql_url
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "name",
    [spec.name for spec in config.fields(config.Settings) if isinstance(spec.default, float)],
)
def test_numbers_are_finite(name, value):
    with pytest.raises(InvalidSetting, match=name):
        config.load({f"MEMOS_{name.upper()}": value})
