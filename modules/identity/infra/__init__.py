"""Identity in Postgres, and its cryptography."""
