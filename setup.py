"""Maps the top-level folders of the repository to subpackages of `memos`.

The folders `storage`, `api`, `kvcache` and `benchmarks` must not land under these names in
a user's site-packages, so each is installed as `memos.<name>`. In the checkout, relative
links `memos/<name>` make the same names importable without an installation. Everything
else about the distribution stands in pyproject.toml.
"""

from setuptools import find_namespace_packages, setup

PARTS = ("storage", "api", "kvcache", "benchmarks")


def subpackages(folder: str) -> list[str]:
    """Names below `folder`, relative to it; links to the other parts are not followed."""
    linked = [pattern for part in PARTS for pattern in (part, f"{part}.*")]
    exclude = ["__pycache__", "*.__pycache__"]
    return find_namespace_packages(folder, exclude=exclude + (linked if folder == "memos" else []))


packages = ["memos", *(f"memos.{name}" for name in subpackages("memos"))]
for part in PARTS:
    packages += [f"memos.{part}", *(f"memos.{part}.{name}" for name in subpackages(part))]

setup(
    packages=packages,
    package_dir={"memos": "memos", **{f"memos.{part}": part for part in PARTS}},
    # Migrations, pages and sample data are plain files beside the modules.
    package_data={"": ["*"]},
)
