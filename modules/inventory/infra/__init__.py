"""The inventory in Postgres: few set-based statements, and the sweeper of expired reservations."""
