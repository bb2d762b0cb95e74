"""Rules of stock levels, movements and reservations."""
