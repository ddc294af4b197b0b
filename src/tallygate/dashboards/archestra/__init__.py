"""Archestra's boards, over its dialect: four of its five; Agent Sessions is made of traces and logs alone."""

from tallygate.dashboards.archestra.application import application
from tallygate.dashboards.archestra.genai import GENAI
from tallygate.dashboards.archestra.knowledge_base import KNOWLEDGE_BASE
from tallygate.dashboards.archestra.mcp import MCP
from tallygate.dashboards.board import Board

__all__ = ["archestra"]


def archestra(postgres_provider: str) -> tuple[Board, ...]:
    """The boards, the PostgreSQL row for one of ``POSTGRES_PROVIDERS``."""
    return (GENAI, MCP, application(postgres_provider), KNOWLEDGE_BASE)
