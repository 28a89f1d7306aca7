//! The addresses of a host, in turn.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// How many addresses of one name are tried: more than any cluster's name has.
const ADDRESSES_MAX: usize = 64;

/// What is left to try of the last lookup (Java's `ClientUtils.resolve` and `ClusterConnectionStates`): one address
/// for each attempt; when none is left, or after a connection that had been accepted is lost, the name is looked up
/// again.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    untried: VecDeque<SocketAddr>,
    /// Where the last accepted connection was: it is not the first to be tried again, if there are others.
    lost: Option<SocketAddr>,
}

impl Addresses {
    /// Takes the result of a lookup. Only addresses of the first one's family are used, as Java does.
    pub(crate) fn fill(&mut self, found: &[SocketAddr]) {
        self.untried.clear();
        for address in found {
            let same_family = self
                .untried
                .front()
                .is_none_or(|first| first.is_ipv4() == address.is_ipv4());
            if same_family && !self.untried.contains(address) && self.untried.len() < ADDRESSES_MAX {
                self.untried.push_back(*address);
            }
        }
        if self.untried.front().copied() == self.lost {
            self.untried.rotate_left(usize::from(!self.untried.is_empty()));
        }
        self.lost = None;
    }

    /// The address for the next attempt; `None` asks for a lookup.
    pub(crate) fn next(&mut self) -> Option<SocketAddr> {
        self.untried.pop_front()
    }

    /// A connection to this address had been accepted, and is gone.
    pub(crate) fn lost(&mut self, address: SocketAddr) {
        self.untried.clear();
        self.lost = Some(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn drain(addresses: &mut Addresses) -> Vec<String> {
        std::iter::from_fn(|| addresses.next())
            .map(|address| address.to_string())
            .collect()
    }

    #[test]
    fn in_turn_one_family_each_once() {
        let mut addresses = Addresses::default();
        assert_eq!(addresses.next(), None);
        addresses.fill(&list(&["10.0.0.1:1", "[::1]:1", "10.0.0.2:1", "10.0.0.1:1"]));
        assert_eq!(drain(&mut addresses), ["10.0.0.1:1", "10.0.0.2:1"]);
        addresses.fill(&list(&["[::1]:1", "10.0.0.1:1"]));
        assert_eq!(drain(&mut addresses), ["[::1]:1"]);
    }

    #[test]
    fn the_lost_one_is_not_the_first() {
        let mut addresses = Addresses::default();
        addresses.lost("10.0.0.1:1".parse().unwrap());
        addresses.fill(&list(&["10.0.0.1:1", "10.0.0.2:1"]));
        assert_eq!(drain(&mut addresses), ["10.0.0.2:1", "10.0.0.1:1"]);
        addresses.lost("10.0.0.1:1".parse().unwrap());
        addresses.fill(&list(&["10.0.0.1:1"]));
        assert_eq!(drain(&mut addresses), ["10.0.0.1:1"]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let mut addresses = Addresses::default();
        let found: Vec<SocketAddr> = (1..=1_000).map(|port| ([10, 0, 0, 1], port).into()).collect();
        addresses.fill(&found);
        assert_eq!(drain(&mut addresses).len(), ADDRESSES_MAX);
    }
}
