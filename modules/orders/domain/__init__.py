"""The rules of carts and orders, without framework or I/O."""
