"""Products with variants and prices, and the category tree."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table category (
            id text collate "C" not null constraint category_pkey primary key,
            name text not null constraint category_name_length check (length(name) between 1 and 200),
            slug text collate "C" not null constraint category_slug_key unique,
            parent_id text collate "C" constraint category_parent_fkey references category (id),
            created_at timestamptz not null default now(),
            version bigint not null default 1,
            constraint category_not_its_own_parent check (parent_id <> id)
        )
    """)
    op.execute("create index category_children on category (parent_id, name, id)")
    op.execute("""
        create table product (
            id text collate "C" not null constraint product_pkey primary key,
            title text not null constraint product_title_length check (length(title) between 1 and 200),
            slug text collate "C" not null constraint product_slug_key unique,
            description text not null,
            status text not null constraint product_status_known check (status in ('draft', 'published', 'archived')),
            attributes jsonb not null,
            category_id text collate "C" constraint product_category_fkey references category (id),
            published_at timestamptz,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            version bigint not null,
            search tsvector not null generated always as (
                setweight(to_tsvector('simple'::regconfig, title), 'A')
                || setweight(to_tsvector('simple'::regconfig, attributes), 'B')
                || setweight(to_tsvector('simple'::regconfig, description), 'C')
            ) stored,
            constraint product_published_at_known check (status <> 'published' or published_at is not null)
        )
    """)
    op.execute("create index product_newest on product (status, created_at, id)")
    op.execute("create index product_by_title on product (status, title, id)")
    op.execute("create index product_newest_of_category on product (category_id, status, created_at, id)")
    op.execute("create index product_by_title_of_category on product (category_id, status, title, id)")
    # No list of pending entries: products are written seldom and searched all the time.
    op.execute("create index product_search on product using gin (search) with (fastupdate = off)")
    op.execute("""
        create table variant (
            id text collate "C" not null constraint variant_pkey primary key,
            product_id text collate "C" not null constraint variant_product_fkey references product (id),
            sku text collate "C" not null constraint variant_sku_key unique,
            title text not null,
            options jsonb not null,
            position integer not null,
            constraint variant_position_key unique (product_id, position)
        )
    """)
    op.execute("""
        create table price (
            variant_id text collate "C" not null constraint price_variant_fkey references variant (id),
            currency text collate "C" not null constraint price_currency_code check (currency ~ '^[A-Z]{3}$'),
            list_amount bigint not null constraint price_list_not_negative check (list_amount >= 0),
            sale_amount bigint,
            sale_minimum integer not null constraint price_sale_minimum_positive check (sale_minimum >= 1),
            sale_starts_at timestamptz,
            sale_ends_at timestamptz,
            constraint price_pkey primary key (variant_id, currency),
            constraint price_sale_lower check (sale_amount between 0 and list_amount - 1),
            constraint price_sale_window check (sale_starts_at < sale_ends_at)
        )
    """)
    op.execute("grant select, insert, update on category, product, variant, price to tenon_catalog")


def downgrade() -> None:
    op.execute("drop table price, variant, product, category")
