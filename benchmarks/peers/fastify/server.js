// The same reads by Fastify and pg, with the same SQL: `node server.js PORT URL`, the statements in PEER_SQL. No middleware.
"use strict";

const fastify = require("fastify")();
const { Pool } = require("pg");

const [port, connectionString] = process.argv.slice(2);
const sql = JSON.parse(process.env.PEER_SQL);
const pool = new Pool({ connectionString, max: 20 });

const text = { type: "string" };
const words = { type: "object", additionalProperties: text };
const money = { type: "object", properties: { amount: { type: "integer" }, currency: text } };
const sale = {
  type: "object",
  nullable: true,
  properties: { price: money, minimum_quantity: { type: "integer" }, starts_at: text, ends_at: text },
};
const price = { type: "object", properties: { list_price: money, sale } };
const variant = {
  type: "object",
  properties: {
    id: text, product_id: text, version: { type: "integer" }, sku: text, title: text, options: words,
    prices: { type: "array", items: price },
  },
};
const product = {
  type: "object",
  properties: {
    id: text, version: { type: "integer" }, title: text, slug: text, description: text, status: text,
    category_id: { type: "string", nullable: true }, published_at: { type: "string", format: "date-time", nullable: true },
    created_at: { type: "string", format: "date-time" }, updated_at: { type: "string", format: "date-time" },
    attributes: words, variants: { type: "array", items: variant },
  },
};
const page = { type: "object", properties: { data: { type: "array", items: product }, has_more: { type: "boolean" } } };

const COLUMNS = [
  "id", "version", "title", "slug", "description", "status", "category_id", "published_at", "created_at", "updated_at",
];

function view(row) {
  const found = {};
  COLUMNS.forEach((name, at) => { found[name] = row[at]; });
  found.attributes = JSON.parse(row[10]);
  found.variants = JSON.parse(row[11]);
  return found;
}

fastify.get("/v1/products/:id", { schema: { response: { 200: product } } }, async (request, reply) => {
  const { rows } = await pool.query({ name: "product", text: sql.product, values: [[request.params.id], false], rowMode: "array" });
  return rows.length ? view(rows[0]) : reply.code(404).send();
});

fastify.get("/v1/products", { schema: { response: { 200: page } } }, async (request) => {
  const limit = Number(request.query.limit);
  const { rows } = await pool.query({ name: "products", text: sql.products, values: [["published"], limit + 1], rowMode: "array" });
  return { data: rows.slice(0, limit).map(view), has_more: rows.length > limit };
});

fastify.listen({ port: Number(port), host: "127.0.0.1" });
