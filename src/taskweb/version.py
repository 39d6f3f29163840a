"""The version of taskweb, which nothing else depends on."""

__version__ = "0.1.0"
