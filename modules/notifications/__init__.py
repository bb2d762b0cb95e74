"""Telling people by e-mail what happened to their accounts and orders.

Owns: which notification was sent to whom, and how that ended; the templates.
Publishes: notifications.notification_sent, notifications.notification_bounced
Listens: identity, orders
Calls: identity, orders, the mail server
"""
