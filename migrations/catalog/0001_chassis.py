"""The chassis' tables: log and cursors, tasks, sagas, idempotency keys."""

from shared.infra.schema import chassis, chassis_v1

revision = "0001"
down_revision = None

upgrade, downgrade = chassis.migration("catalog", chassis_v1)
