//! The program from outside: exit codes, messages, and what arrives in a real Kafka.

mod broker;
mod config;
mod formats;
mod java;
mod perf;
mod produce;
mod real;
mod serializers;
mod support;
mod transactions;
mod verifiable;
