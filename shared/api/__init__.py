"""The chassis' HTTP edge: problems, strict bodies, paging, idempotency, OpenAPI, health."""
