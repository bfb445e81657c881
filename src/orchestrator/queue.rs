//! One model's requests in order, and its sleeping workers.
//!
//! Submitters push into the inbox and ring only when a sleeper wants it: the *bell* is the number of queued requests
//! from which on somebody must be woken. Whoever goes to sleep sets the bell and then looks at the inbox once more;
//! whoever submits pushes and then looks at the bell; both sequentially consistent, so no wake-up is lost. While a
//! woken worker is on its way nobody else is woken: it passes the call on when it leaves requests behind.

use super::inbox::Inbox;
use super::request::Priority;
use super::table::{NONE, Table};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::clock::{self, Deadline};
use crate::base::park::Parker;
use crate::base::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering::*};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SILENT: u32 = u32::MAX;

pub struct Queue {
    inbox: Inbox,
    /// Requests that are accepted and neither running nor ended.
    queued: AtomicU32,
    bell: AtomicU32,
    /// Requests that run, or whose outcome is being made.
    running: AtomicU64,
    capacity: u32,
    max_batch: u32,
    batch_wait_ns: u64,
    /// When the one that gathers begins at the latest; 0 while nobody does.
    gathers_until_ns: AtomicU64,
    /// Nothing more will come that a batch could wait for.
    hurried: AtomicBool,
    order: Mutex<Order>,
}

/// What the lock guards.
struct Order {
    lists: [List; Priority::COUNT],
    len: u32,
    /// Deadline, slot and generation of each request that has a deadline, and of some that have left.
    deadlines: BinaryHeap<Reverse<(u64, u32, u32)>>,
    sleepers: Vec<Sleeper>,
    /// Were woken to leave, and have not come yet.
    sent_home: Vec<u32>,
    /// Waits for its batch to fill.
    gatherer: Option<Sleeper>,
    /// Was woken and has not come yet.
    on_its_way: Option<u32>,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

#[derive(Clone, Copy)]
pub struct Sleeper {
    pub worker: u32,
    pub parker: &'static Parker,
}

/// What a worker does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Its batch is not empty.
    Run { more_is_left: bool },
    /// Requests whose deadline had passed were taken out; the chain of them.
    Expired { chain: u32 },
    /// It is among the sleepers now: park, at most this long, and ask again.
    Sleep { until: Deadline },
    /// It gathers: park until then and ask again.
    Gather { until: Deadline },
    /// It was sent home.
    Leave,
}

impl Queue {
    pub fn new(capacity: u32, max_batch: u32, batch_wait_ns: u64, workers: u32) -> Result<Self, OutOfMemory> {
        let order = Order {
            lists: [List { first: NONE, last: NONE }; Priority::COUNT],
            len: 0,
            // Twice the requests there can be, so that clearing out what has left pays for itself.
            deadlines: alloc::try_vec(2 * capacity as usize)?.into(),
            sleepers: alloc::try_vec(workers as usize)?,
            sent_home: alloc::try_vec(workers as usize)?,
            gatherer: None,
            on_its_way: None,
        };
        Ok(Self {
            inbox: Inbox::default(),
            queued: AtomicU32::new(0),
            bell: AtomicU32::new(SILENT),
            running: AtomicU64::new(0),
            capacity,
            max_batch,
            batch_wait_ns,
            gathers_until_ns: AtomicU64::new(0),
            hurried: AtomicBool::new(false),
            order: Mutex::new(order),
        })
    }

    pub fn queued(&self) -> u32 {
        self.queued.load(SeqCst)
    }

    /// Requests without an outcome. Queued ones are read first: one that is on its way to running counts as either.
    pub fn pending(&self) -> u64 {
        let queued = u64::from(self.queued());
        queued + self.running()
    }

    pub fn running(&self) -> u64 {
        self.running.load(SeqCst)
    }

    /// Workers that wait for requests, one that was woken for some included.
    pub fn idle(&self) -> u32 {
        let order = self.order.lock();
        order.sleepers.len() as u32 + u32::from(order.gatherer.is_some()) + u32::from(order.on_its_way.is_some())
    }

    /// Makes room for one more request, or says that the queue is full.
    #[inline]
    pub fn admit(&self) -> bool {
        let before = self.queued.fetch_add(1, SeqCst);
        if before >= self.capacity {
            self.queued.fetch_sub(1, SeqCst);
        }
        before < self.capacity
    }

    /// Undoes [`Queue::admit`].
    pub fn dismiss(&self) {
        self.queued.fetch_sub(1, SeqCst);
    }

    /// Puts an admitted request down. The caller rings afterwards.
    #[inline]
    pub fn push(&self, table: &Table, number: u32) {
        self.inbox.push(table, number);
    }

    /// Wakes a worker when one wants to be woken; tells whether one is awake or was woken.
    #[inline]
    pub fn ring(&self) -> bool {
        let bell = self.bell.load(SeqCst);
        if self.queued.load(SeqCst) >= bell { self.wake() } else { bell != SILENT }
    }

    #[cold]
    fn wake(&self) -> bool {
        let mut order = self.order.lock();
        let queued = self.queued.load(SeqCst);
        // The worker that slept a moment ago may have left.
        let bell = self.bell.load(SeqCst);
        if queued < bell {
            return bell != SILENT;
        }
        let sleeper = order.call_one();
        self.set_bell(&order);
        drop(order);
        if let Some(sleeper) = sleeper {
            sleeper.parker.unpark();
        }
        sleeper.is_some()
    }

    /// For a request that was pushed and has a deadline: no batch waits for more until its time is nearly up.
    #[inline]
    pub fn press(&self, submitted_ns: u64, deadline_ns: u64) {
        if begin_by_ns(submitted_ns, deadline_ns) < self.gathers_until_ns.load(SeqCst) {
            self.call_gatherer();
        }
    }

    /// From now on no batch waits for more.
    pub fn hurry(&self) {
        self.hurried.store(true, SeqCst);
        self.call_gatherer();
    }

    #[cold]
    fn call_gatherer(&self) {
        let mut order = self.order.lock();
        let Some(gatherer) = order.gatherer.take() else { return };
        order.on_its_way = Some(gatherer.worker);
        self.set_bell(&order);
        drop(order);
        gatherer.parker.unpark();
    }

    /// Wakes every sleeper, for a reason that is no request.
    pub fn wake_all(&self) {
        let order = self.order.lock();
        for sleeper in order.sleepers.iter().chain(order.gatherer.iter()) {
            sleeper.parker.unpark();
        }
    }

    fn set_bell(&self, order: &Order) {
        let bell = match (&order.on_its_way, &order.gatherer) {
            (Some(_), _) => SILENT,
            (None, Some(_)) => self.max_batch,
            (None, None) if !order.sleepers.is_empty() => 1,
            (None, None) => SILENT,
        };
        self.bell.store(bell, SeqCst);
        if order.gatherer.is_none() {
            self.gathers_until_ns.store(0, SeqCst);
        }
    }

    /// What `me` does next: fills `batch`, or makes it a sleeper. `idle_until` bounds its sleep.
    pub fn next(&self, table: &Table, me: Sleeper, idle_until: Deadline, batch: &mut Vec<u32>) -> Next {
        let mut order = self.order.lock();
        if order.obeys(me.worker) {
            return Next::Leave;
        }
        order.forget(me.worker);
        let next = loop {
            self.sort_in(table, &mut order);
            let next = self.choose(table, &mut order, me, idle_until, batch);
            self.set_bell(&order);
            // A request that came before the bell was set rang nobody: it is looked after here, or by a successor.
            match next {
                Next::Sleep { .. } | Next::Gather { .. } if !self.inbox.is_empty() => order.forget(me.worker),
                Next::Run { more_is_left: false } if !self.inbox.is_empty() => break Next::Run { more_is_left: true },
                next => break next,
            }
        };
        // The host's code runs next, for as long as it likes: what is left is another worker's.
        let more_is_left = match next {
            Next::Run { more_is_left } => more_is_left,
            Next::Expired { .. } => order.len > 0 || !self.inbox.is_empty(),
            Next::Sleep { .. } | Next::Gather { .. } | Next::Leave => false,
        };
        let successor = if more_is_left { order.call_unless_one_comes() } else { None };
        self.set_bell(&order);
        drop(order);
        if let Some(successor) = successor {
            successor.parker.unpark();
        }
        next
    }

    fn choose(&self, table: &Table, order: &mut Order, me: Sleeper, until: Deadline, batch: &mut Vec<u32>) -> Next {
        if order.len == 0 {
            order.sleepers.push(me);
            return Next::Sleep { until };
        }
        let now_ns = clock::now_ns();
        let chain = self.expire(table, order, now_ns);
        if chain != NONE {
            return Next::Expired { chain };
        }
        if self.batch_wait_ns > 0 && order.len < self.max_batch && !self.hurried.load(SeqCst) {
            if order.gatherer.is_some() {
                order.sleepers.push(me);
                return Next::Sleep { until };
            }
            let waited_ns = order.oldest_ns(table).saturating_add(self.batch_wait_ns);
            let until_ns = waited_ns.min(order.begin_by_ns(table));
            if now_ns < until_ns {
                order.gatherer = Some(me);
                self.gathers_until_ns.store(until_ns, SeqCst);
                return Next::Gather { until: Deadline::at(until_ns) };
            }
        }
        while batch.len() < self.max_batch as usize
            && let Some(number) = order.pop_first(table)
        {
            table.begin_running(number);
            batch.push(number);
        }
        self.running.fetch_add(batch.len() as u64, SeqCst);
        self.queued.fetch_sub(batch.len() as u32, SeqCst);
        Next::Run { more_is_left: order.len > 0 }
    }

    /// Stops being a sleeper, for a worker that leaves. What it was woken for or gathered, another one is. Tells whether
    /// it had been sent home.
    pub fn leave(&self, worker: u32) -> bool {
        let mut order = self.order.lock();
        let is_sent_home = order.obeys(worker);
        order.forget(worker);
        let successor = if self.queued() > 0 { order.call_unless_one_comes() } else { None };
        self.set_bell(&order);
        drop(order);
        if let Some(successor) = successor {
            successor.parker.unpark();
        }
        is_sent_home
    }

    /// The same for a worker that has nothing to do: refused while requests wait, and to one that was sent home.
    pub fn leave_if_idle(&self, worker: u32) -> bool {
        let mut order = self.order.lock();
        let is_idle = self.queued() == 0 && !order.sent_home.contains(&worker);
        if is_idle {
            order.forget(worker);
            self.set_bell(&order);
        }
        is_idle
    }

    /// Workers that could be sent home.
    pub fn dispensable(&self) -> u32 {
        let order = self.order.lock();
        if self.queued() == 0 { order.sleepers.len() as u32 } else { 0 }
    }

    /// Wakes the worker that has slept longest, to leave, while no request waits and if `lets_go` agrees.
    pub fn send_home(&self, lets_go: impl FnOnce() -> bool) -> bool {
        let mut order = self.order.lock();
        if self.queued() > 0 || order.sleepers.is_empty() || !lets_go() {
            return false;
        }
        let sleeper = order.sleepers.remove(0);
        order.sent_home.push(sleeper.worker);
        self.set_bell(&order);
        drop(order);
        sleeper.parker.unpark();
        true
    }

    /// Takes the requests whose deadline has passed out of the queue, as a chain; and tells the next deadline.
    pub fn take_expired(&self, table: &Table, now_ns: u64) -> (u32, u64) {
        let mut order = self.order.lock();
        self.sort_in(table, &mut order);
        let chain = self.expire(table, &mut order, now_ns);
        let next = order.deadlines.peek().map_or(u64::MAX, |Reverse((deadline_ns, ..))| *deadline_ns);
        (chain, next)
    }

    /// Takes every request out of the queue, as a chain.
    pub fn take_all(&self, table: &Table) -> u32 {
        let mut order = self.order.lock();
        self.sort_in(table, &mut order);
        let mut chain = Chain::default();
        while let Some(number) = order.pop_first(table) {
            self.begin_ending(table, number);
            chain.add(table, number);
        }
        order.deadlines.clear();
        chain.first
    }

    /// Looks at a request while its stage cannot change. A queued one can be taken out by [`Held::take`].
    pub fn hold<'a>(&'a self, table: &'a Table) -> Held<'a> {
        let mut order = self.order.lock();
        self.sort_in(table, &mut order);
        Held { queue: self, table, order }
    }

    /// The run of these requests is over: from now on their outcomes are the caller's to write.
    pub fn end_running(&self, table: &Table, batch: &[u32]) {
        let _held = self.order.lock();
        for &number in batch {
            table.begin_ending(number);
        }
    }

    /// A request that was running or ending has its outcome.
    pub fn finished(&self) {
        self.running.fetch_sub(1, SeqCst);
    }

    fn begin_ending(&self, table: &Table, number: u32) {
        table.begin_ending(number);
        self.running.fetch_add(1, SeqCst);
        self.queued.fetch_sub(1, SeqCst);
    }

    fn sort_in(&self, table: &Table, order: &mut Order) {
        self.inbox.drain(table, |number| order.push_last(table, number));
    }

    fn expire(&self, table: &Table, order: &mut Order, now_ns: u64) -> u32 {
        let mut chain = Chain::default();
        while let Some(&Reverse((deadline_ns, number, generation))) = order.deadlines.peek() {
            let queued = table.is_queued(number, generation);
            if queued && deadline_ns > now_ns {
                break;
            }
            order.deadlines.pop();
            if queued {
                order.unlink(table, number);
                self.begin_ending(table, number);
                chain.add(table, number);
            }
        }
        chain.first
    }
}

/// The queue's lock, for one request.
pub struct Held<'a> {
    queue: &'a Queue,
    table: &'a Table,
    order: MutexGuard<'a, Order>,
}

impl Held<'_> {
    /// Takes a queued request out: its outcome is the caller's to write.
    pub fn take(mut self, number: u32) {
        self.order.unlink(self.table, number);
        self.queue.begin_ending(self.table, number);
    }
}

/// Requests on their way to an outcome, linked through their slots.
pub struct Chain {
    pub first: u32,
    last: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl Chain {
    pub fn add(&mut self, table: &Table, number: u32) {
        table.slot(number).next.store(NONE, Relaxed);
        match self.last {
            NONE => self.first = number,
            last => table.slot(last).next.store(number, Relaxed),
        }
        self.last = number;
    }
}

/// Visits each request of a chain.
pub fn walk(table: &Table, chain: u32, mut visit: impl FnMut(u32)) {
    let mut number = chain;
    while number != NONE {
        // The slot is somebody else's as soon as its request has ended.
        let next = table.slot(number).next.load(Relaxed);
        visit(number);
        number = next;
    }
}

/// A batch waits for more during the first half of the time that a request has; the other half is for waking up.
fn begin_by_ns(submitted_ns: u64, deadline_ns: u64) -> u64 {
    submitted_ns + deadline_ns.saturating_sub(submitted_ns) / 2
}

impl Order {
    fn push_last(&mut self, table: &Table, number: u32) {
        let slot = table.slot(number);
        let list = &mut self.lists[slot.rank.load(Relaxed) as usize];
        slot.next.store(NONE, Relaxed);
        slot.previous.store(list.last, Relaxed);
        match list.last {
            NONE => list.first = number,
            last => table.slot(last).next.store(number, Relaxed),
        }
        list.last = number;
        self.len += 1;
        let deadline_ns = slot.deadline_ns.load(Relaxed);
        if deadline_ns != u64::MAX {
            if self.deadlines.len() == self.deadlines.capacity() {
                self.deadlines.retain(|Reverse((_, number, generation))| table.is_queued(*number, *generation));
            }
            self.deadlines.push(Reverse((deadline_ns, number, table.generation(number))));
        }
    }

    fn unlink(&mut self, table: &Table, number: u32) {
        let slot = table.slot(number);
        let list = &mut self.lists[slot.rank.load(Relaxed) as usize];
        let (previous, next) = (slot.previous.load(Relaxed), slot.next.load(Relaxed));
        match previous {
            NONE => list.first = next,
            previous => table.slot(previous).next.store(next, Relaxed),
        }
        match next {
            NONE => list.last = previous,
            next => table.slot(next).previous.store(previous, Relaxed),
        }
        self.len -= 1;
    }

    fn pop_first(&mut self, table: &Table) -> Option<u32> {
        let number = self.lists.iter().map(|list| list.first).find(|first| *first != NONE)?;
        self.unlink(table, number);
        Some(number)
    }

    fn oldest_ns(&self, table: &Table) -> u64 {
        let firsts = self.lists.iter().map(|list| list.first).filter(|first| *first != NONE);
        firsts.map(|first| table.slot(first).submitted_ns.load(Relaxed)).min().unwrap_or(0)
    }

    /// When the request with the next deadline must have begun, if it has one; what has left is not at the top.
    fn begin_by_ns(&self, table: &Table) -> u64 {
        self.deadlines.peek().map_or(u64::MAX, |Reverse((deadline_ns, number, _))| {
            begin_by_ns(table.slot(*number).submitted_ns.load(Relaxed), *deadline_ns)
        })
    }

    /// Takes a sleeper to be woken for requests: the one that waits for its batch, else the one that slept last,
    /// whose caches are the warmest.
    fn call_one(&mut self) -> Option<Sleeper> {
        let sleeper = self.gatherer.take().or_else(|| self.sleepers.pop())?;
        self.on_its_way = Some(sleeper.worker);
        Some(sleeper)
    }

    fn call_unless_one_comes(&mut self) -> Option<Sleeper> {
        if self.on_its_way.is_some() || self.gatherer.is_some() { None } else { self.call_one() }
    }

    /// Whether the worker was sent home, and goes now.
    fn obeys(&mut self, worker: u32) -> bool {
        let place = self.sent_home.iter().position(|sent| *sent == worker);
        place.map(|place| self.sent_home.swap_remove(place)).is_some()
    }

    /// The worker neither sleeps, nor gathers, nor is on its way.
    fn forget(&mut self, worker: u32) {
        self.sleepers.retain(|sleeper| sleeper.worker != worker);
        self.gatherer.take_if(|sleeper| sleeper.worker == worker);
        self.on_its_way.take_if(|called| *called == worker);
    }
}
