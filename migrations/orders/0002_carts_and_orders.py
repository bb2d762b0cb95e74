"""Carts, orders and their timelines."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table cart (
            id text collate "C" not null constraint cart_pk primary key,
            user_id text collate "C",
            token_hash text collate "C",
            currency text not null constraint cart_currency check (currency ~ '^[A-Z]{3}$'),
            email text,
            shipping_address jsonb,
            status text not null default 'open' constraint cart_status check (status in ('open', 'completing', 'completed')),
            order_id text collate "C",
            version bigint not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            constraint cart_has_one_owner check (num_nonnulls(user_id, token_hash) = 1)
        )
    """)
    op.execute("create index cart_by_user on cart (user_id, id) where user_id is not null")
    op.execute("""
        create table cart_item (
            cart_id text collate "C" not null constraint cart_item_cart_fk references cart (id),
            id text collate "C" not null,
            variant_id text collate "C" not null,
            quantity integer not null constraint cart_item_quantity check (quantity between 1 and 999),
            constraint cart_item_pk primary key (cart_id, id),
            constraint cart_item_variant_unique unique (cart_id, variant_id)
        )
    """)
    op.execute("create sequence order_number start 100001")
    op.execute("""
        create table customer_order (
            id text collate "C" not null constraint customer_order_pk primary key,
            number text constraint customer_order_number_unique unique,
            cart_id text collate "C" not null constraint customer_order_cart_unique unique,
            user_id text collate "C",
            token_hash text collate "C",
            email text,
            shipping_address jsonb not null,
            currency text not null constraint customer_order_currency check (currency ~ '^[A-Z]{3}$'),
            rounding text not null,
            total bigint not null constraint customer_order_total check (total >= 0),
            captured bigint not null default 0,
            refunded bigint not null default 0,
            status text not null constraint customer_order_status check (status in ('draft', 'placed', 'completed', 'cancelled')),
            payment_status text not null constraint customer_order_payment_status check (payment_status in (
                'unpaid', 'authorized', 'partially_paid', 'paid', 'partially_refunded', 'refunded', 'voided', 'disputed'
            )),
            fulfilment_status text not null constraint customer_order_fulfilment_status check (fulfilment_status in (
                'unfulfilled', 'partial', 'fulfilled', 'partially_returned', 'returned'
            )),
            intent_id text collate "C",
            attempt integer not null,
            saga_id text collate "C",
            version bigint not null,
            placed_at timestamptz,
            created_at timestamptz not null default now(),
            constraint customer_order_placed_whole check (status = 'draft' or num_nonnulls(number, placed_at, intent_id) = 3),
            constraint customer_order_refunds check (refunded <= captured),
            constraint customer_order_has_one_owner check (num_nonnulls(user_id, token_hash) = 1)
        )
    """)
    op.execute("create index customer_order_by_user on customer_order (user_id, id) where status <> 'draft'")
    op.execute("create index customer_order_placed on customer_order (id) where status <> 'draft'")
    op.execute("""
        create table order_line (
            order_id text collate "C" not null constraint order_line_order_fk references customer_order (id),
            position integer not null,
            variant_id text collate "C" not null,
            product_id text collate "C" not null,
            sku text not null,
            title text not null,
            quantity integer not null constraint order_line_quantity check (quantity > 0),
            unit_price bigint not null,
            total bigint not null,
            constraint order_line_pk primary key (order_id, position)
        )
    """)
    op.execute("""
        create table order_entry (
            id bigint generated always as identity constraint order_entry_pk primary key,
            order_id text collate "C" not null constraint order_entry_order_fk references customer_order (id),
            at timestamptz not null default now(),
            kind text not null,
            facts jsonb not null
        )
    """)
    op.execute("create index order_entry_by_order on order_entry (order_id, id)")
    op.execute("grant select, insert, update on cart, customer_order to tenon_orders")
    op.execute("grant select, insert, update, delete on cart_item, order_line to tenon_orders")
    op.execute("grant select, insert on order_entry to tenon_orders")
    op.execute("grant usage on sequence order_number to tenon_orders")


def downgrade() -> None:
    op.execute("drop table order_entry, order_line, customer_order, cart_item, cart")
    op.execute("drop sequence order_number")
