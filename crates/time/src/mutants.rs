//! Planted bugs, for the simulation to find: `cargo xtask sim --mutants`.
//!
//! Where a bug could stand, the code asks [`mutant!`](crate::mutant) for it by name. Without `--cfg ottla_mutants` the
//! answer is a constant, and nothing of it is compiled. It is here because every crate that can have such a bug uses
//! this one.

/// Whether the bug of this name is planted: never, in a build that is not made for it.
#[cfg(not(ottla_mutants))]
#[inline(always)]
pub const fn is_planted(_name: &str) -> bool {
    false
}

/// Whether the bug of this name is planted.
#[cfg(ottla_mutants)]
pub fn is_planted(name: &str) -> bool {
    PLANTED.get().is_some_and(|planted| planted == name)
}

/// Whether any bug is planted.
#[cfg(not(ottla_mutants))]
pub const fn is_any_planted() -> bool {
    false
}

/// Whether any bug is planted.
#[cfg(ottla_mutants)]
pub fn is_any_planted() -> bool {
    PLANTED.get().is_some()
}

#[cfg(ottla_mutants)]
static PLANTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Plants the bug of this name, for the rest of the process. False if one is planted already.
#[cfg(ottla_mutants)]
pub fn plant(name: &str) -> bool {
    PLANTED.set(name.to_owned()).is_ok()
}

/// Whether the bug of this name is planted here, see [`mutants`](crate::mutants).
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        $crate::mutants::is_planted($name)
    };
}
