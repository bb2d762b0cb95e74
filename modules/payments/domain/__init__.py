"""The rules of payments: intents, attempts, refunds and the ledger. Pure Python."""
