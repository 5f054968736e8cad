//! Virtual time: events in the order of their moments, and of their making where those are equal.

use std::collections::BTreeMap;

use elementum_torrent::base::time::Time;

#[derive(Debug)]
pub struct Clock<E> {
    now: Time,
    made: u64,
    events: BTreeMap<(Time, u64), E>,
}

impl<E> Default for Clock<E> {
    fn default() -> Self {
        // Not zero: a session has lived for a while when a torrent comes.
        Self { now: Time::BEGINNING, made: 0, events: BTreeMap::new() }
    }
}

impl<E> Clock<E> {
    pub fn now(&self) -> Time {
        self.now
    }

    pub fn at(&mut self, when: Time, event: E) {
        self.made += 1;
        self.events.insert((when.max(self.now), self.made), event);
    }

    pub fn after(&mut self, delay: std::time::Duration, event: E) {
        self.at(self.now + delay, event);
    }

    /// The next event, if it is not later than `until`; the time moves on to it.
    pub fn next(&mut self, until: Time) -> Option<E> {
        let first = self.events.first_entry()?;
        let when = first.key().0;
        if when > until {
            return None;
        }
        let event = first.remove();
        self.now = when;
        Some(event)
    }
}
