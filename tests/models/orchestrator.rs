//! The orchestrator's queue and table: requests from submitters to workers, and outcomes to those who wait.

#[path = "../../src/orchestrator/inbox.rs"]
mod inbox;
#[path = "../../src/orchestrator/queue.rs"]
mod queue;
#[path = "../../src/orchestrator/request.rs"]
mod request;
#[path = "../../src/orchestrator/table.rs"]
mod table;

/// As src/orchestrator/error.rs has it, without the errors of rooms that are not here.
mod error {
    use super::request::Ticket;
    use crate::base::cancel::WaitEnd;
    use crate::pool::cells::CellError;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum TicketError {
        Stale { ticket: u64 },
        NotReady,
        HasCompletion,
        Waited,
        Running,
        Wait(WaitEnd),
    }

    impl TicketError {
        pub fn of(ticket: Ticket, error: CellError) -> Self {
            match error {
                CellError::Stale | CellError::Ended => Self::Stale { ticket: ticket.0 },
                CellError::NotReady => Self::NotReady,
                CellError::HasCompletion => Self::HasCompletion,
                CellError::Waited => Self::Waited,
                CellError::Wait(end) => Self::Wait(end),
            }
        }
    }
}

use crate::base::clock::Deadline;
use crate::base::park::Parker;
use crate::base::text::Text;
use crate::explore;
use error::TicketError;
use queue::{Next, Queue, Sleeper};
use request::{Failure, Outcome, OutcomeKind, Parcel, Priority, Request, Ticket};
use shuttle::sync::Barrier;
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use table::{NONE, Stage, Table};

struct World {
    table: Table,
    queue: Queue,
    ran: AtomicU32,
    /// Workers that were sent home.
    gone: AtomicU32,
    stop: AtomicBool,
}

const REQUEST: Request = Request {
    priority: Priority::Normal,
    deadline_after_ns: 0,
    input: std::ptr::null(),
    input_bytes: 0,
    output: std::ptr::null_mut(),
    output_capacity_bytes: 0,
    parcel: Parcel::NONE,
    completion: None,
    user_data: std::ptr::null_mut(),
};

impl World {
    fn new(max_batch: u32, batch_wait_ns: u64, workers: u32) -> Arc<Self> {
        Arc::new(Self {
            table: Table::new(4).unwrap(),
            queue: Queue::new(4, max_batch, batch_wait_ns, workers).unwrap(),
            ran: AtomicU32::new(0),
            gone: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        })
    }

    fn submit(&self) -> Ticket {
        self.submit_within(0)
    }

    fn submit_within(&self, deadline_after_ns: u64) -> Ticket {
        assert!(self.queue.admit());
        let number = self.table.take_free().unwrap();
        let ticket = self.table.fill(number, &Request { deadline_after_ns, ..REQUEST }, 0, 0);
        self.queue.push(&self.table, number);
        if deadline_after_ns > 0 {
            self.queue.press(0, deadline_after_ns);
        }
        self.queue.ring();
        ticket
    }

    fn finish(&self, number: u32, kind: OutcomeKind) {
        let outcome = Outcome::unrun(kind, Failure::None, 0, Text::new());
        self.table.finish(number, &outcome, false);
        self.queue.finished();
    }

    /// As a worker of a model does.
    fn work(self: &Arc<Self>, worker: u32) -> thread::JoinHandle<()> {
        self.work_with(worker, || {})
    }

    /// The same with a run that does something.
    fn work_with(self: &Arc<Self>, worker: u32, run: impl Fn() + Send + 'static) -> thread::JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || {
            let me = Sleeper { worker, parker: Parker::leaked() };
            let mut batch = Vec::with_capacity(4);
            while !world.stop.load(SeqCst) {
                match world.queue.next(&world.table, me, Deadline::NEVER, &mut batch) {
                    Next::Run { .. } => {
                        run();
                        world.queue.end_running(&world.table, &batch);
                        for number in batch.drain(..) {
                            world.ran.fetch_add(1, SeqCst);
                            world.finish(number, OutcomeKind::Completed);
                        }
                    }
                    Next::Expired { mut chain } => {
                        run();
                        while chain != NONE {
                            let next = world.table.slot(chain).next.load(Relaxed);
                            world.finish(chain, OutcomeKind::TimedOut);
                            chain = next;
                        }
                    }
                    Next::Sleep { .. } | Next::Gather { .. } if world.stop.load(SeqCst) => {}
                    Next::Leave => {
                        world.gone.fetch_add(1, SeqCst);
                        return;
                    }
                    Next::Sleep { until } | Next::Gather { until } => me.parker.park(until),
                }
            }
            if world.queue.leave(worker) {
                world.gone.fetch_add(1, SeqCst);
            }
        })
    }

    fn end(&self, workers: Vec<thread::JoinHandle<()>>) {
        self.stop.store(true, SeqCst);
        self.queue.wake_all();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
}

fn submit_and_wait(world: &Arc<World>, turns: u32) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || {
        for _ in 0..turns {
            let ticket = world.submit();
            let outcome = world.table.wait(ticket, Deadline::NEVER, None).unwrap();
            assert_eq!(outcome.kind, OutcomeKind::Completed);
            assert_eq!(world.table.poll(ticket).unwrap_err(), TicketError::Stale { ticket: ticket.0 });
        }
    })
}

#[test]
fn no_request_waits_while_its_workers_sleep() {
    for workers in [1, 2] {
        explore(move || {
            let world = World::new(2, 0, workers);
            let crew = (0..workers).map(|worker| world.work(worker)).collect();
            let submitters: Vec<_> = (0..2).map(|_| submit_and_wait(&world, 2)).collect();
            submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
            world.end(crew);
            assert_eq!(world.ran.load(SeqCst), 4);
            assert_eq!((world.queue.pending(), world.table.used()), (0, 0));
        });
    }
}

#[test]
fn worker_that_is_sent_home_leaves_no_request_behind() {
    explore(|| {
        let world = World::new(1, 0, 2);
        let crew = (0..2).map(|worker| world.work(worker)).collect();
        let submitters: Vec<_> = (0..2).map(|_| submit_and_wait(&world, 1)).collect();
        let governor = {
            let world = world.clone();
            // One of the two, as a crew with a least number of one lets go.
            thread::spawn(move || u32::from(world.queue.send_home(|| true)))
        };
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        let sent_home = governor.join().unwrap();
        world.end(crew);
        assert_eq!((world.ran.load(SeqCst), world.gone.load(SeqCst)), (2, sent_home));
        assert_eq!((world.queue.pending(), world.queue.idle()), (0, 0));
    });
}

/// Two workers whose turns wait for each other, as the host's callbacks may.
fn work_together(world: &Arc<World>) -> Vec<thread::JoinHandle<()>> {
    let both = Arc::new(Barrier::new(2));
    let work = |worker| {
        let both = both.clone();
        world.work_with(worker, move || {
            both.wait();
        })
    };
    (0..2).map(work).collect()
}

#[test]
fn no_request_waits_for_a_run_while_another_worker_sleeps() {
    explore(|| {
        let world = World::new(1, 0, 2);
        let crew = work_together(&world);
        let submitters: Vec<_> = (0..2).map(|_| submit_and_wait(&world, 1)).collect();
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        world.end(crew);
        assert_eq!(world.ran.load(SeqCst), 2);
    });
}

#[test]
fn no_request_waits_for_the_completion_of_one_that_expired() {
    explore(|| {
        let world = World::new(1, 0, 2);
        let crew = work_together(&world);
        // The time is 1.
        let expired = world.submit_within(1);
        let lively = world.submit();
        let kind_of = |ticket| world.table.wait(ticket, Deadline::NEVER, None).unwrap().kind;
        assert_eq!((kind_of(expired), kind_of(lively)), (OutcomeKind::TimedOut, OutcomeKind::Completed));
        world.end(crew);
    });
}

#[test]
fn full_batch_wakes_the_one_that_gathers_it() {
    explore(|| {
        // Time stands still, so only a full batch can start.
        let world = World::new(2, 1000, 2);
        let crew = (0..2).map(|worker| world.work(worker)).collect();
        let submitters: Vec<_> = (0..2).map(|_| submit_and_wait(&world, 1)).collect();
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        world.end(crew);
        assert_eq!(world.ran.load(SeqCst), 2);
    });
}

#[test]
fn drained_queue_starts_a_batch_that_is_not_full() {
    explore(|| {
        let world = World::new(4, 1000, 2);
        let crew = (0..2).map(|worker| world.work(worker)).collect();
        let submitters: Vec<_> = (0..2).map(|_| submit_and_wait(&world, 1)).collect();
        world.queue.hurry();
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        world.end(crew);
        assert_eq!(world.ran.load(SeqCst), 2);
    });
}

#[test]
fn deadline_starts_a_batch_that_is_not_full() {
    explore(|| {
        // The time is 1, which is half of 2 and before the end of the batch's wait.
        let world = World::new(4, 1000, 2);
        let crew = (0..2).map(|worker| world.work(worker)).collect();
        let patient = world.submit();
        let pressing = {
            let world = world.clone();
            thread::spawn(move || world.table.wait(world.submit_within(2), Deadline::NEVER, None).unwrap())
        };
        assert_eq!(pressing.join().unwrap().kind, OutcomeKind::Completed);
        world.table.wait(patient, Deadline::NEVER, None).unwrap();
        world.end(crew);
        assert_eq!(world.ran.load(SeqCst), 2);
    });
}

#[test]
fn cancelled_or_run_but_never_both() {
    explore(|| {
        let world = World::new(1, 0, 1);
        let crew = vec![world.work(0)];
        let ticket = world.submit();
        let canceller = {
            let world = world.clone();
            thread::spawn(move || {
                let held = world.queue.hold(&world.table);
                match world.table.stage(ticket) {
                    Ok((number, Stage::Queued)) => {
                        held.take(number);
                        world.finish(number, OutcomeKind::Cancelled);
                        1
                    }
                    _ => 0,
                }
            })
        };
        let outcome = world.table.wait(ticket, Deadline::NEVER, None).unwrap();
        let cancelled = canceller.join().unwrap();
        world.end(crew);
        assert_eq!(cancelled + world.ran.load(SeqCst), 1);
        assert_eq!(outcome.kind == OutcomeKind::Cancelled, cancelled == 1);
    });
}

#[test]
fn outcome_is_taken_once_whoever_wants_it() {
    explore(|| {
        let world = World::new(1, 0, 1);
        let crew = vec![world.work(0)];
        let ticket = world.submit();
        let takers: Vec<_> = (0..3)
            .map(|taker| {
                let world = world.clone();
                thread::spawn(move || match taker {
                    0 => world.table.wait(ticket, Deadline::NEVER, None).map(drop),
                    1 => world.table.poll(ticket).map(drop),
                    _ => world.table.forget(ticket).map(drop),
                })
            })
            .collect();
        let taken: usize = takers.into_iter().map(|taker| usize::from(taker.join().unwrap().is_ok())).sum();
        assert_eq!(taken, 1);
        // A request that was forgotten has run when the next one has.
        let next = world.submit();
        world.table.wait(next, Deadline::NEVER, None).unwrap();
        world.end(crew);
        assert_eq!(world.table.used(), 0, "a slot is lost");
    });
}

#[test]
fn wait_that_runs_out_leaves_the_outcome() {
    explore(|| {
        let world = World::new(1, 0, 1);
        let crew = vec![world.work(0)];
        let ticket = world.submit();
        if world.table.wait(ticket, Deadline::at(1), None).is_err() {
            world.table.wait(ticket, Deadline::NEVER, None).unwrap();
        }
        world.end(crew);
        assert_eq!(world.table.used(), 0);
    });
}
