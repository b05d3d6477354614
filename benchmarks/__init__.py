"""Figures, printed as ratios of measurements made side by side in one run."""
