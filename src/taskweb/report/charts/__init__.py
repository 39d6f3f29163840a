"""The figures of reports, one file each: plain values in, a `Figure` out."""
