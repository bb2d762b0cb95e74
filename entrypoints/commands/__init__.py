"""The commands beside the processes: what operators look at and mend, and what developers have written for them."""
