"""The blend: which evidence to trust is learned on the web at hand, and how sure that leaves the ranking."""

from taskweb.selectors.blend.selector import BlendSelector

__all__ = ["BlendSelector"]
