"""A new module written from templates: as thin as one can be, and working."""
