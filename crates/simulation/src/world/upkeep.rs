//! What has to hold at any moment of a seed.

use super::World;
use crate::desk::GRACE;
use ottla_protocol::compression::Compression;

impl World {
    /// What has to hold at any moment, and costs little to look at.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.desk.check_overtaken();
        if let Some(broken) = self.desk.broken.borrow_mut().take() {
            return Err(broken);
        }
        let mut ledger = self.desk.ledger.borrow_mut();
        let patience = self.desk.delivery_timeout + GRACE;
        if let Some(number) = ledger.overdue(self.now, patience) {
            return Err(format!(
                "record {number} is not resolved, a second after delivery.timeout.ms"
            ));
        }
        let used = self.desk.handle().memory_used();
        let limit = self.scenario.accumulator.buffer_memory;
        let plain = self.scenario.accumulator.compression == Compression::None;
        let split = self.desk.counters.borrow().too_large > 0;
        // The compressed form of a batch, and the parts of one that is split, are charged even if nothing is free.
        let most = if plain && !split { limit } else { limit + limit / 4 };
        if used > most {
            return Err(format!("{used} bytes are in use, of {limit}"));
        }
        if plain && used < ledger.unresolved_bytes {
            let held = ledger.unresolved_bytes;
            return Err(format!(
                "{used} bytes are in use, and {held} bytes of records are not resolved"
            ));
        }
        let at_rest = ledger.unresolved == 0
            && ledger.unwatched == 0
            && self.desk.waiting.get() == 0
            && self.sealing == 0
            && self.wire.is_quiet();
        if at_rest && used > 0 {
            return Err(format!("{used} bytes are in use, and there is no record"));
        }
        if self.desk.waiting_for_memory.get() > 0
            && ledger.unresolved == 0
            && ledger.unwatched == 0
            && self.sealing == 0
            && self.wire.is_quiet()
        {
            return Err("a send waits for memory, and no record has any".to_owned());
        }
        let open = self.by_connection.values().map(|&link| &self.links[link]);
        let in_writers: usize = open.flat_map(|link| &link.backlog).map(unaccounted).sum();
        if used < in_writers {
            return Err(format!("{used} bytes are in use, and writers hold {in_writers}"));
        }
        // Who has finished waits for nothing.
        if self.finished_at.is_some() {
            return Ok(());
        }
        self.wire.check(self.now)
    }
}

/// What a writer holds of a batch's memory, if the piece is of a batch: what stands between batches is shorter.
fn unaccounted(piece: &bytes::Bytes) -> usize {
    piece.len().saturating_sub(HEAD_LEN_MAX)
}

/// The headers of a frame and of a batch, with what a request says before its first batch, in bytes.
const HEAD_LEN_MAX: usize = 512;
