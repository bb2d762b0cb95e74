"""Time that passes for the database: what was due later is due now, and every claim has run out."""

import asyncpg

LET_ATTEMPTS_GO = """
    update payments.attempt set claimed_until = now()
    where id in (select id from payments.attempt where claimed_until > now() for update skip locked)
"""
MODULES = ("identity", "catalog", "inventory", "payments", "orders", "notifications")


async def let_time_pass(admin_dsn: str, modules: tuple[str, ...] = MODULES) -> None:
    """As if all owners of claims had been gone for long. Those that still live will find their claim lost."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        for module in modules:
            await admin.execute(f"""
                update {module}.task set due_at = now() where state = 'ready';
                update {module}.task set claimed_until = now() where state = 'claimed';
                update {module}.saga set due_at = now(), claimed_until = least(claimed_until, now()) where ended_at is null;
            """)
        if "payments" in modules:
            await admin.execute(LET_ATTEMPTS_GO)
    finally:
        await admin.close()
