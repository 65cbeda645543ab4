import re

from memos import errors


def all_classes(root=errors.MemosError):
    yield root
    for sub in root.__subclasses__():
        yield from all_classes(sub)


def test_codes_are_unique_and_name_their_class():
    found = [cls for cls in all_classes() if cls.__module__ == errors.__name__]
    assert len({cls.code for cls in found}) == len(found)
    for cls in found:
        if cls is not errors.MemosError:
            words = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
            assert cls.code == words


def test_the_tree_in_the_docstring_names_every_class():
    for cls in all_classes():
        if cls.__module__ == errors.__name__:
            assert cls.__name__ in errors.__doc__


def test_by_code_finds_each():
    table = errors.by_code()
    assert table["version-conflict"] is errors.VersionConflict
    assert errors.VersionConflict in all_classes(errors.Conflict)


def test_details_travel_with_the_message():
    error = errors.VersionConflict("changed", expected=1, actual=2)
    assert str(error) == error.message == "changed"
    assert error.details == {"expected": 1, "actual": 2}


def test_a_code_is_that_of_the_class_that_states_it():
    class Special(errors.InvalidFilter):
        """A part's own kind of it."""

    assert errors.by_code()[Special.code] is errors.InvalidFilter
