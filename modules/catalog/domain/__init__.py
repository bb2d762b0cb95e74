"""Rules of products, prices and categories."""
