"""Stock locations, levels, movements and reservations."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table stock_location (
            id text collate "C" not null constraint stock_location_pkey primary key,
            name text not null constraint stock_location_name_key unique,
            is_default boolean not null default false,
            created_at timestamptz not null default now(),
            version bigint not null default 1
        )
    """)
    op.execute("create unique index stock_location_one_default on stock_location (is_default) where is_default")
    op.execute("""
        insert into stock_location (id, name, is_default)
        values ('loc_' || replace(gen_random_uuid()::text, '-', ''), 'Main warehouse', true)
    """)
    op.execute("""
        create table stock_level (
            location_id text collate "C" not null constraint stock_level_location_fkey references stock_location (id),
            sku text collate "C" not null,
            on_hand bigint not null default 0 constraint stock_level_on_hand_not_negative check (on_hand >= 0),
            allocated bigint not null default 0 constraint stock_level_allocated_not_negative check (allocated >= 0),
            reserved bigint not null default 0 constraint stock_level_reserved_not_negative check (reserved >= 0),
            version bigint not null default 1,
            constraint stock_level_pkey primary key (location_id, sku),
            constraint stock_level_never_oversold check (allocated + reserved <= on_hand)
        )
        with (fillfactor = 80)
    """)
    op.execute("create index stock_level_by_sku on stock_level (sku, location_id)")
    op.execute("""
        create table stock_movement (
            id text collate "C" not null constraint stock_movement_pkey primary key,
            kind text not null constraint stock_movement_kind_known
                check (kind in ('received', 'adjusted', 'transferred', 'shipped', 'returned', 'damaged')),
            sku text collate "C" not null,
            quantity bigint not null constraint stock_movement_quantity_sign check (quantity > 0 or (quantity < 0 and kind = 'adjusted')),
            location_id text collate "C" not null constraint stock_movement_location_fkey references stock_location (id),
            to_location_id text collate "C" constraint stock_movement_target_fkey references stock_location (id),
            reservation_id text collate "C",
            reason text not null,
            actor text not null,
            created_at timestamptz not null default now(),
            constraint stock_movement_target_of_transfer check ((kind = 'transferred') = (to_location_id is not null)),
            constraint stock_movement_reservation_of_shipment check ((kind = 'shipped') = (reservation_id is not null))
        )
    """)
    op.execute("create index stock_movement_by_sku on stock_movement (sku, id)")
    # No foreign key to the location, which is never deleted: all reservations would lock the default one's row for its sake.
    op.execute("""
        create table reservation (
            id text collate "C" not null constraint reservation_pkey primary key,
            key text collate "C" not null constraint reservation_key_key unique,
            state text not null constraint reservation_state_known
                check (state in ('held', 'committed', 'expired', 'released', 'deallocated')),
            location_id text collate "C" not null,
            began_at timestamptz not null default now(),
            expires_at timestamptz not null,
            version bigint not null default 1
        )
    """)
    op.execute("create index reservation_lapsing on reservation (expires_at) where state = 'held'")
    op.execute("""
        create table reservation_line (
            reservation_id text collate "C" not null constraint reservation_line_reservation_fkey references reservation (id),
            sku text collate "C" not null,
            quantity bigint not null constraint reservation_line_quantity_positive check (quantity > 0),
            shipped bigint not null default 0 constraint reservation_line_shipped_range check (shipped between 0 and quantity),
            constraint reservation_line_pkey primary key (reservation_id, sku)
        )
    """)
    op.execute("grant select, insert, update on stock_location, stock_level, reservation, reservation_line to tenon_inventory")
    op.execute("grant select, insert on stock_movement to tenon_inventory")


def downgrade() -> None:
    op.execute("drop table reservation_line, reservation, stock_movement, stock_level, stock_location")
