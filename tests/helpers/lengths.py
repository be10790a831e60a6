"""Lengths of descriptors for tests that compare with formulas or other programs."""

LENGTHS = {"cutoff_width": 0.5, "atom_sigma": 0.5, "radial_scaling": None}
