"""Carts and orders: what a customer wants, what was agreed, and where it stands.

Owns: carts, orders and their timelines, the sagas that complete a cart and cancel an order.
Publishes: orders.order_placed, orders.order_paid, orders.order_cancelled
Listens: payments
Calls: catalog, inventory, payments
"""
