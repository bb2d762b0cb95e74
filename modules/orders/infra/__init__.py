"""Where carts and orders are kept, and how their neighbours are asked."""
