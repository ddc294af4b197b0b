"""A Dockerfile read into its stages."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """What is done from one FROM to the next: instructions and their arguments, continued lines joined."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """The arguments of all instructions of this name."""
        return [argument for name, argument in self.steps if name == instruction]

    def last(self, instruction: str) -> str:
        """The one that counts. Raises IndexError when there is none."""
        return self.all(instruction)[-1]


def stages(file: Path) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in file.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", "").split("\n"):
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            found.append(Stage(argument))
        elif found:
            found[-1].steps.append((instruction, argument.strip()))
    return found
