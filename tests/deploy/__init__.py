"""What deploy/ holds: the image, the compose file, the chart."""

from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
