//! Tests of the network: its states without I/O, hostile peers, and real sockets.

mod hostile;
mod states;
mod support;
mod time;
