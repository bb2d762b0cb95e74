"""The catalog: what is for sale, in which variants, at which price, and where it is found.

Owns: products, their variants and prices, the category tree.
Publishes: catalog.product_created, catalog.product_updated, catalog.product_published, catalog.product_archived,
  catalog.variant_created, catalog.price_changed
Listens: catalog
Calls: nothing
"""
