"""Images are directories: what an image reference and its Containerfile mean for a local process."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Image:
    """What a container takes from its image."""

    directory: Path
    entry_point: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


def find(images: Path, reference: str) -> Image | None:
    """The image that a reference like C(REGISTRY/demo/web:1.0@sha256:...) names: the directory C(web)."""
    name = reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
    directory = images / name
    if not name or not directory.is_dir():
        return None
    image = Image(directory.resolve())
    containerfile = directory / "Containerfile"
    text = re.sub(r"\\\n", " ", containerfile.read_text()) if containerfile.exists() else ""
    for instruction, value in re.findall(r"^(FROM|ENV|CMD|ENTRYPOINT)\s+(.+)$", text, re.MULTILINE):
        if instruction == "FROM":
            image = Image(image.directory)  # a new stage begins
        elif instruction == "ENV":
            image.environment |= dict(word.split("=", 1) for word in shlex.split(value))
        elif instruction == "CMD":
            image.command = words(value)
        else:
            image.entry_point = words(value)
    return image


def words(value: str) -> list[str]:
    """Command of a CMD or ENTRYPOINT instruction, in its JSON form or in its shell form."""
    return json.loads(value) if value.startswith("[") else ["/bin/sh", "-c", value]
