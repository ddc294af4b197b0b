"""The boards of our own dialect."""

from tallygate.dashboards.tallygate.application import application
from tallygate.dashboards.tallygate.genai import GENAI
from tallygate.dashboards.tallygate.mcp import MCP
from tallygate.dashboards.tallygate.rag import RAG
from tallygate.dashboards.tallygate.reliability import COST_AND_RELIABILITY

__all__ = ["COST_AND_RELIABILITY", "GENAI", "MCP", "RAG", "application"]
