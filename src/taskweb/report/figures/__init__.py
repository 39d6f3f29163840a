"""Figures of webs and results, one file each: typed values in, a `Figure` out."""
