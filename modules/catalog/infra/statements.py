"""The SQL of the catalog's reads. Lists are built here, once, from allow-lists of our own; values are always parameters."""

from collections.abc import Mapping
from itertools import product
from typing import Final, NamedTuple, get_args

from modules.catalog.domain.views import Sort
from shared.domain.page import MAX_LIMIT

MOST_MATCHES: Final = 5000
"""More matches than this are not ranked: the words say too little."""

_PRICES: Final = """(
    select coalesce(json_agg(json_build_object(
        'list_price', json_build_object('amount', c.list_amount, 'currency', c.currency),
        'sale', case when c.sale_amount is not null then json_build_object(
            'price', json_build_object('amount', c.sale_amount, 'currency', c.currency),
            'minimum_quantity', c.sale_minimum, 'starts_at', c.sale_starts_at, 'ends_at', c.sale_ends_at) end
    ) order by c.currency), '[]')
    from price c where c.variant_id = v.id
)"""

_VARIANTS: Final = f"""(
    select coalesce(json_agg(json_build_object(
        'id', v.id, 'product_id', p.id, 'version', p.version, 'sku', v.sku, 'title', v.title, 'options', v.options, 'prices', {_PRICES}
    ) order by v.position), '[]')::text
    from variant v where v.product_id = p.id
)"""  # noqa: S608 - constants of ours

_PRODUCT: Final = f"""
    p.id, p.version, p.title, p.slug, p.description, p.status, p.category_id, p.published_at, p.created_at, p.updated_at,
    p.attributes::text, {_VARIANTS}
"""

# product_pkey, variant_position_key, price_pkey
PRODUCT: Final = f"""
select {_PRODUCT} from product p where p.id = any($1) and (p.status = 'published' or $2)
"""  # noqa: S608 - constants of ours

# variant_pkey, product_pkey, price_pkey
VARIANT: Final = f"""
select v.id, v.product_id, p.version, v.sku, v.title, v.options::text, {_PRICES}::text
from variant v join product p on p.id = v.product_id
where v.id = any($1) and (p.status = 'published' or $2)
"""  # noqa: S608 - constants of ours

# variant_pkey, product_pkey, price_pkey
OFFERS: Final = """
select v.id, v.product_id, v.sku, p.title, v.title, p.status,
    c.list_amount, c.sale_amount, c.sale_minimum, c.sale_starts_at, c.sale_ends_at
from variant v
join product p on p.id = v.product_id
left join price c on c.variant_id = v.id and c.currency = $2
where v.id = any($1)
"""

BELOW: Final = """below (id) as (
    select ${place}::text collate "C"
    union all
    select c.id from below b join category c on c.parent_id = b.id
)"""
"""A category and all below it, for a statement that begins `with recursive`; `place` is that of its parameter."""


class Shape(NamedTuple):
    """What a list of products is asked for; each combination has a statement of its own, so that it has a plan of its own."""

    category: bool
    lower: bool
    upper: bool


SHAPES: Final = tuple(Shape(*flags) for flags in product((False, True), repeat=3))


def _products(sort: Sort, shape: Shape) -> str:
    """A merge of short index walks, one per status and category, each in the order of the list.

    Parameters: statuses, limit, and where asked for the category, and the sort value and id that all are above, and below.
    Without a category product_newest or product_by_title, else product_newest_of_category or product_by_title_of_category.
    The inner limit is a constant, so that the generic plan knows how little it will read.
    """
    column, direction = sort.removeprefix("-"), "desc" if sort.startswith("-") else "asc"
    order = ", ".join(f"{key} {direction}" for key in (*_walked(shape), f"p.{column}", "p.id"))
    return f"""
with recursive {BELOW.format(place=3) + "," if shape.category else ""}
page as (
    select one.* from unnest($1::text[]) as s (status) {"cross join below b" if shape.category else ""} cross join lateral (
        select p.* from product p where {_within(column, shape)}
        order by {order} limit {MAX_LIMIT + 1}
    ) one
    order by one.{column} {direction}, one.id {direction} limit $2
)
select {_PRODUCT} from page p order by p.{column} {direction}, p.id {direction}
"""  # noqa: S608 - constants of ours


def _walked(shape: Shape) -> tuple[str, ...]:
    return ("p.category_id", "p.status") if shape.category else ("p.status",)


def _within(column: str, shape: Shape) -> str:
    """Exactly one range of the index, its keys compared as a whole: from each alone Postgres would guess how many rows it leaves,
    and on a bad guess walk another index or sort everything."""
    keys, values = ", ".join(_walked(shape)), "b.id, s.status" if shape.category else "s.status"
    lowest, highest, place = f"({keys}) >= ({values})", f"({keys}) <= ({values})", 3 + shape.category
    if shape.lower:
        lowest = f"({keys}, p.{column}, p.id) > ({values}, ${place}, ${place + 1})"
    if shape.upper:
        place += 2 * shape.lower
        highest = f"({keys}, p.{column}, p.id) < ({values}, ${place}, ${place + 1})"
    return f"{lowest} and {highest}"


PRODUCTS: Final[Mapping[tuple[Sort, Shape], str]] = {(sort, shape): _products(sort, shape) for sort in get_args(Sort) for shape in SHAPES}


def _search(*, category: bool, after: bool) -> str:
    """product_search, which finds what has all: the words, one of the statuses, one of the categories. What it finds is ranked in
    memory, and there is a bound to how much that is.

    Parameters: words, statuses, limit, and where asked for the category, the last product's rank and id.
    The words come out of to_tsvector, so that they mean what they mean in the index; each may begin a longer one.
    """
    last = 4 + category
    return f"""
with recursive {BELOW.format(place=4) + "," if category else ""}
wanted (query) as (
    select string_agg('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || ''':*', ' & ')::tsquery
    from unnest(to_tsvector('simple', $1))
),
matches as (
    select p.id, p.search from product p
    where p.search @@ (select query from wanted) and array[p.status] && $2::text[]
        {"and array[p.category_id] && array(select id from below)" if category else ""}
    limit {MOST_MATCHES}
),
ranked as (
    select m.id, (ts_rank_cd(m.search, (select query from wanted)) * 1000000)::bigint as rank from matches m
),
page as (
    select id, rank from ranked
    {f"where rank < ${last} or (rank = ${last} and id > ${last + 1})" if after else ""}
    order by rank desc, id limit $3
)
select {_PRODUCT}, page.rank from page join product p on p.id = page.id order by page.rank desc, p.id
"""  # noqa: S608 - constants of ours


SEARCH: Final[Mapping[tuple[bool, bool], str]] = {
    (category, after): _search(category=category, after=after) for category in (False, True) for after in (False, True)
}
"""By whether below a category, whether after some product."""

# category_pkey, upwards
CATEGORY: Final = """
with recursive line (id, version, name, slug, parent_id, depth) as (
    select id, version, name, slug, parent_id, 1 from category where id = $1
    union all
    select c.id, c.version, c.name, c.slug, c.parent_id, l.depth + 1 from line l join category c on c.id = l.parent_id
)
select id, version, name, slug, parent_id from line order by depth desc
"""


def _categories(*, root: bool, after: bool) -> str:
    """category_children, whose order begins with the parent: Postgres does not see that nulls are all the same."""
    parent = "is null" if root else "= $2"
    place = 2 if root else 3
    beyond = f"and (name, id) > (${place}, ${place + 1})" if after else ""
    return f"""
select id, version, name, slug, parent_id from category where parent_id {parent} {beyond} order by parent_id, name, id limit $1
"""  # noqa: S608 - constants of ours


CATEGORIES: Final[Mapping[tuple[bool, bool], str]] = {
    (root, after): _categories(root=root, after=after) for root in (False, True) for after in (False, True)
}
"""By whether the roots are meant, whether after some category."""
