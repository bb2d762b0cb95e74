"""What the application costs, as ratios to the bare minimum in the same process: `make bench`."""
