"""Who is told what, once. Pure Python."""
