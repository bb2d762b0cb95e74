"""Looks at everything that a Tenon needs around it, and says what is wrong and how to mend it."""
