"""The chassis' tables: log and cursors, tasks, sagas, idempotency keys."""

from shared.infra.schema import chassis, chassis_v1, chassis_v2

revision = "0001"
down_revision = None

upgrade, downgrade = chassis.migration("shelf", chassis_v1, chassis_v2)
