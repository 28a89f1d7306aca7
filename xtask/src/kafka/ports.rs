//! Ports of 127.0.0.1 for brokers.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, bail};

/// Where free ports are looked for: below the ports that Linux and others give to outgoing connections (32768 and up).
/// A broker that is killed and started again must find its port free; a client's connection, even one *to* the missing
/// broker, may hold any of those.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// `count` different ports that nobody listens on now.
pub(crate) fn free(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut ports = Vec::with_capacity(count);
    let mut candidate = fastrand::u16(RANGE);
    for _ in RANGE {
        if ports.len() == count {
            break;
        }
        if is_free(candidate) {
            ports.push(candidate);
        }
        candidate = if candidate + 1 == RANGE.end {
            RANGE.start
        } else {
            candidate + 1
        };
    }
    if ports.len() < count {
        bail!(
            "no {count} free ports from {} to {} on 127.0.0.1",
            RANGE.start,
            RANGE.end - 1
        );
    }
    Ok(ports)
}

/// The `count` ports from `first` on, which have to be free.
pub(crate) fn from(first: u16, count: usize) -> anyhow::Result<Vec<u16>> {
    let past = u32::from(first) + u32::try_from(count).context("a count of ports")?;
    if past > 1 << 16 {
        bail!("there are no {count} ports from {first} on");
    }
    let ports: Vec<u16> = (first..=u16::MAX).take(count).collect();
    if let Some(taken) = ports.iter().find(|&&port| !is_free(port)) {
        bail!("port {taken} of 127.0.0.1 is taken (needed are {count} ports from {first} on)");
    }
    Ok(ports)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_bound() {
        let ports = free(6).expect("ports");
        let listeners: Vec<_> = ports
            .iter()
            .map(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("free"))
            .collect();
        assert_eq!(listeners.len(), 6);
    }

    #[test]
    fn a_taken_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let error = from(port, 1).expect_err("taken").to_string();
        assert!(
            error.contains(&format!("port {port} of 127.0.0.1 is taken")),
            "{error}"
        );
    }

    #[test]
    fn ports_end_at_65535() {
        assert!(
            from(65_535, 2)
                .expect_err("too few")
                .to_string()
                .contains("no 2 ports from 65535 on")
        );
    }
}
