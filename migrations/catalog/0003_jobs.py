"""Jobs that can be cancelled, the ticks of crons, ended sagas that go."""

from shared.infra.schema import chassis, chassis_v2

revision = "0003"
down_revision = "0002"

upgrade, downgrade = chassis.migration("catalog", chassis_v2)
