"""Finds the problems of a gateway from its status, grouped by cause and ordered by harm. Pure functions."""

from bridge.monitoring.problems.problem import Problem
from bridge.monitoring.problems.summary import computed_problems, find_problems, headline_of, summarize

__all__ = ["Problem", "computed_problems", "find_problems", "headline_of", "summarize"]
