"""The inventory: how many of each SKU there are, where, and who has a claim on them.

Owns: stock locations, levels, movements, reservations.
Publishes: inventory.level_changed, inventory.low, inventory.out, inventory.back_in, inventory.reservation_created,
  inventory.reservation_expired, inventory.reservation_released, inventory.reservation_committed
Listens: nothing
Calls: nothing
"""
