//! What is known of a seed before it begins: bursts, flushes, faults, and the end.

use super::{END_AT_LEAST, Event, World};
use crate::desk::GRACE;
use crate::{plan, transactions, user};
use fastrand::Rng;
use ottla_time::Time;
use std::rc::Rc;
use std::time::Duration;

impl World {
    /// Puts in what is known beforehand: bursts, flushes, faults, and the end.
    pub(super) fn plan(&mut self, random: &mut Rng) {
        let scenario = &self.scenario;
        let until = match scenario.closes_early {
            true => Time::ZERO + scenario.trouble.mul_f64(0.5 + random.f64() / 2.0),
            false => Time::ZERO + scenario.trouble,
        };
        if !scenario.transactional {
            for burst in user::bursts(scenario, until, random) {
                self.crowd.spawn(user::send_burst(Rc::clone(&self.desk), burst));
            }
        }
        for _ in 0..random.usize(1..=5) {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            let patience = (random.u32(..100) < 20).then(|| Duration::from_millis(random.u64(1..200)));
            self.crowd.spawn(user::flush(Rc::clone(&self.desk), at, patience));
        }
        for (at, trouble) in plan::draw(scenario, until, random) {
            self.queue.push(at, Event::Strike(trouble));
        }
        let healed = Time::ZERO + scenario.trouble;
        self.queue.push(healed, Event::Heal);
        self.queue.push(END_AT_LEAST, Event::Last);
        if scenario.transactional && random.u32(..100) < 15 {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            self.queue.push(at, Event::Twin(0));
        }
        for _ in 0..scenario.growths {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            self.queue.push(at, Event::Grow);
        }
        for _ in 0..scenario.recreations {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            self.queue.push(at, Event::Delete(0));
        }
        if scenario.closes_early {
            let timeout = if random.bool() {
                Duration::from_millis(random.u64(0..6_000))
            } else {
                Duration::from_micros(random.u64(0..20_000))
            };
            self.desk.counters.borrow_mut().closes_in_trouble += 1;
            if scenario.transactional {
                let never = Time::ZERO + scenario.trouble;
                self.crowd
                    .spawn(transactions::conduct(Rc::clone(&self.desk), never));
            }
            self.crowd
                .spawn(user::close(Rc::clone(&self.desk), until, timeout, true));
            return;
        }
        // The first probes find out what changed meanwhile; the second have to be acked.
        let settled = healed + scenario.sender.delivery_timeout + GRACE + scenario.sender.max_block;
        let again = settled + scenario.sender.delivery_timeout + GRACE;
        self.crowd.spawn(user::flush(Rc::clone(&self.desk), again, None));
        if scenario.transactional {
            self.crowd
                .spawn(transactions::conduct(Rc::clone(&self.desk), settled));
        } else {
            self.crowd
                .spawn(user::probe(Rc::clone(&self.desk), settled, false));
            self.crowd.spawn(user::probe(Rc::clone(&self.desk), again, true));
        }
        let end = (again + scenario.sender.delivery_timeout * 3 + GRACE).max(END_AT_LEAST);
        self.crowd.spawn(user::close(
            Rc::clone(&self.desk),
            end,
            Duration::from_secs(1),
            false,
        ));
    }
}
