//! What is alive, by the call stacks that took it or by the objects that have it, most bytes first.

use super::blocks::{self, Keeper, Kind, Traced};
use super::symbols::{Frame, Symbols};
use super::{CallSite, census, sampler};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::{NAME_BYTES, Name, clock, log};
use std::cmp::Reverse;
use std::fmt;

/// The numbers are those of OSTLER_TRACING_BY_.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum By {
    Stack = 0,
    /// The stacks of each object, and the object with most bytes first.
    Object = 1,
}

/// Blocks of one kind that one call stack took.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub kind: Kind,
    pub site: CallSite,
    /// The object that has them; by stack, as far as it is the same one.
    pub keeper: Keeper,
    /// An estimate, where only a sample is followed.
    pub bytes: u64,
    /// As above.
    pub blocks: u64,
    /// Those of them that are followed.
    pub followed: u64,
    pub oldest_ns: u64,
}

/// Everything that is followed now, in groups.
pub fn groups(by: By) -> Result<Vec<Group>, OutOfMemory> {
    let mut all = Vec::new();
    let mut refused = Ok(());
    let mut add = |traced| match alloc::try_reserve_one(&mut all) {
        Ok(()) => all.push(traced),
        Err(error) => refused = Err(error),
    };
    blocks::all().for_each(&mut add);
    census::each(&mut add);
    refused?;
    let object = |traced: &Traced| match (by, traced.block.keeper) {
        (By::Stack, _) => (0, "", [0; NAME_BYTES]),
        (By::Object, keeper) => (keeper.account, keeper.holder, *keeper.name.as_c_bytes()),
    };
    let key = |traced: &Traced| (object(traced), traced.block.kind, traced.site.number());
    all.sort_unstable_by_key(key);
    let now_ns = clock::now_ns();
    let mut groups = alloc::try_vec(all.chunk_by(|one, other| key(one) == key(other)).count())?;
    for objects in all.chunk_by(|one, other| object(one) == object(other)) {
        let start = groups.len();
        groups.extend(objects.chunk_by(|one, other| key(one) == key(other)).map(|alike| group(alike, now_ns)));
        if let Some(groups) = groups.get_mut(start..) {
            groups.sort_by_key(|group| Reverse(group.bytes));
        }
    }
    if by == By::Object {
        return by_objects(groups);
    }
    Ok(groups)
}

/// Moves the groups of the object with most bytes to the front, and so on.
fn by_objects(groups: Vec<Group>) -> Result<Vec<Group>, OutOfMemory> {
    let mut objects = alloc::try_vec(groups.len())?;
    objects.extend(groups.chunk_by(same_object));
    objects.sort_by_key(|groups: &&[Group]| Reverse(groups.iter().map(|group| group.bytes).sum::<u64>()));
    let mut sorted = alloc::try_vec(groups.len())?;
    sorted.extend(objects.into_iter().flatten().copied());
    Ok(sorted)
}

fn same_object(one: &Group, other: &Group) -> bool {
    one.keeper == other.keeper
}

fn group(alike: &[Traced], now_ns: u64) -> Group {
    let first = &alike[0];
    let sum = |each: fn(&Traced) -> f64| alike.iter().map(each).sum::<f64>().round() as u64;
    let oldest = alike.iter().map(|traced| traced.since_ns).min().unwrap_or(now_ns);
    Group {
        kind: first.block.kind,
        site: first.site,
        keeper: common_keeper(alike),
        bytes: sum(|traced| traced.block.bytes as f64 * traced.stands_for),
        blocks: sum(|traced| traced.stands_for),
        followed: alike.len() as u64,
        oldest_ns: now_ns.saturating_sub(oldest),
    }
}

fn common_keeper(alike: &[Traced]) -> Keeper {
    let first = alike[0].block.keeper;
    let all = |same: fn(&Keeper, &Keeper) -> bool| alike.iter().all(|traced| same(&traced.block.keeper, &first));
    let holder = if all(|keeper, first| keeper.holder == first.holder) { first.holder } else { "" };
    if all(|keeper, first| keeper == first) { first } else { Keeper { holder, name: Name::new(), account: 0 } }
}

/// A group in one line, without its call stack.
impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.blocks > self.followed { "about " } else { "" };
        let (one, many) = match self.kind {
            Kind::Mapping => ("mapping", "mappings"),
            Kind::Block => ("block", "blocks"),
        };
        let unit = if self.blocks == 1 { one } else { many };
        write!(formatter, "{about}{} bytes in {} {unit}", self.bytes, self.blocks)?;
        if self.blocks > self.followed {
            write!(formatter, " ({} followed)", self.followed)?;
        }
        match (self.keeper.holder, self.keeper.name.as_str()) {
            ("", _) => write!(formatter, " of several objects")?,
            (holder, "") => write!(formatter, " of {holder}")?,
            (holder, name) => write!(formatter, " of {holder} \"{name}\"")?,
        }
        if self.keeper.account != 0 {
            write!(formatter, " (account {})", self.keeper.account)?;
        }
        let tenths = self.oldest_ns / 100_000_000;
        write!(formatter, ", the oldest for {}.{} s", tenths / 10, tenths % 10)
    }
}

/// The groups for people: each with its call stack below it.
pub struct Table<'a>(pub &'a [Group]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut symbols = Symbols::default();
        for group in self.0 {
            writeln!(formatter, "{group}")?;
            for frame in symbols.of(group.site) {
                writeln!(formatter, "        at {frame}")?;
            }
        }
        let lost = blocks::lost();
        if lost > 0 {
            writeln!(formatter, "{lost} more found no room in the table")?;
        }
        if self.0.iter().any(|group| group.blocks > group.followed) {
            writeln!(formatter, "(a sample: one in {} bytes on average)", sampler::distance())?;
        }
        Ok(())
    }
}

/// Tells the log of everything that is still followed, by object.
pub fn tell_what_is_left() {
    let Ok(groups) = groups(By::Object) else { return };
    let mut symbols = Symbols::default();
    for group in groups {
        log::warn(format_args!("still there at shutdown: {group}{}", InOneLine(&symbols.of(group.site))));
    }
}

struct InOneLine<'a>(&'a [Frame]);

impl fmt::Display for InOneLine<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, frame) in self.0.iter().enumerate() {
            write!(formatter, "{}{frame}", if index == 0 { ", from " } else { " < " })?;
        }
        Ok(())
    }
}
