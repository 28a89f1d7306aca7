//! Points in the middle of the sender's work at which other threads may get in between, for the simulation.
//!
//! The simulation has one thread. A race between the sender and its users would be invisible to it, so the code that takes
//! what both share says so beforehand: at [`reach`] the simulation lets users act as if they were other threads. Without
//! `--cfg ottla_mutants` nothing of it is compiled. It is here because every crate that shares state uses this one.
//!
//! What is reached while a lock is [`held`](hold) is passed over: whoever came then would have to wait.

#[cfg(ottla_mutants)]
pub use here::{hold, reach, release, visit};

/// Others may act now.
#[cfg(not(ottla_mutants))]
#[inline(always)]
pub const fn reach(_name: &'static str) {}

/// A lock is taken that users may want, too.
#[cfg(not(ottla_mutants))]
#[inline(always)]
pub const fn hold() {}

/// It is free again.
#[cfg(not(ottla_mutants))]
#[inline(always)]
pub const fn release() {}

#[cfg(ottla_mutants)]
mod here {
    use std::cell::{Cell, RefCell};

    type Visitor = Box<dyn FnMut(&'static str)>;

    thread_local! {
        static VISITOR: RefCell<Option<Visitor>> = const { RefCell::new(None) };
        static HELD: Cell<u32> = const { Cell::new(0) };
    }

    /// Others may act now.
    pub fn reach(name: &'static str) {
        if HELD.get() > 0 {
            return;
        }
        // Taken out: what acts now is not interrupted itself.
        let Some(mut visitor) = VISITOR.with_borrow_mut(Option::take) else {
            return;
        };
        visitor(name);
        VISITOR.set(Some(visitor));
    }

    /// A lock is taken that users may want, too.
    pub fn hold() {
        HELD.set(HELD.get() + 1);
    }

    /// It is free again.
    pub fn release() {
        HELD.set(HELD.get().saturating_sub(1));
    }

    /// Who is called at each point of this thread from now on; `None` for nobody.
    pub fn visit(visitor: Option<Visitor>) {
        HELD.set(0);
        drop(VISITOR.replace(visitor));
    }
}
