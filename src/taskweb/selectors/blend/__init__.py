"""The blend: an ensemble whose weights are learned from the web at hand, and how far its rankings can be trusted."""

from taskweb.selectors.blend.selector import BlendSelector

__all__ = ["BlendSelector"]
