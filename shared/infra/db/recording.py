"""The part of a unit of work that every module's has: handed on to the chassis' own."""

from shared.infra.db.unit_of_work import UnitOfWork


class Recording:
    """Implements shared.domain.work.Recorder and shared.domain.jobs.JobStarter; a module's own unit of work adds its stores."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.record = uow.record
        self.enqueue = uow.enqueue
        self.begin_saga = uow.begin_saga
        self.wake_saga = uow.wake_saga
        self.begin_job = uow.begin_job
