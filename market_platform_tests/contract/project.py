"""What the contract tests look at: the files of the repository, as git knows them or, without git, as they lie there."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from market_platform.settings import PROJECT_ROOT

NOT_OURS = {".git", ".venv", ".market", "build", "dist", "node_modules"}


@cache
def tracked_files() -> list[Path]:
    """Every file of the repository that exists."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=30, check=True
        )
        paths = [PROJECT_ROOT / name for name in listed.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [
            path
            for path in PROJECT_ROOT.rglob("*")
            if not any(part in NOT_OURS or part.endswith("cache__") for part in path.relative_to(PROJECT_ROOT).parts)
        ]
    return [path for path in paths if path.is_file()]


def python_files() -> list[Path]:
    """Every Python file of the repository."""
    return [path for path in tracked_files() if path.suffix == ".py"]


def shell_blocks(path: Path) -> list[str]:
    """The command lines in a Markdown file's ```console and ```bash blocks, continued lines joined, prompts dropped."""
    lines = []
    for block in re.findall(r"^```(?:console|bash|sh)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
        joined = block.replace("\\\n", " ")
        prompted = any(line.startswith("$ ") for line in joined.splitlines())
        for line in joined.splitlines():
            if prompted and not line.startswith("$ "):
                continue  # what the command printed
            command = re.sub(r"\s+#\s.*$", "", line.removeprefix("$ ")).strip()
            if command and not command.startswith("#"):
                lines.append(command)
    return lines
