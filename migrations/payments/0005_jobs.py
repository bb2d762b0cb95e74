"""Jobs that can be cancelled, the ticks of crons, ended sagas that go."""

from shared.infra.schema import chassis, chassis_v2

revision = "0005"
down_revision = "0004"

upgrade, downgrade = chassis.migration("payments", chassis_v2)
