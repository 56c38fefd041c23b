//! The test bench: real Debian hosts on a network of their own, and the servers people are told by.
//!
//! A scenario makes a [`network::Network`], boots [`host::Host`]s on it, and drives them from
//! outside. All it starts ends with the value that holds it, and also when the test process is
//! killed ([`undo`]).

pub mod agent;
pub mod cgroup;
pub mod collector;
pub mod desk;
pub mod enforcer;
pub mod host;
pub mod logins;
pub mod mail;
pub mod mime;
pub mod network;
pub mod packages;
pub mod page;
pub mod postgres;
pub mod programs;
pub mod ready;
pub mod root;
pub mod run;
pub mod shut_out;
pub mod site;
pub mod sms;
pub mod ssh;
pub mod totp;
pub mod tracer;
pub mod undo;
pub mod vpn;
pub mod wait;
pub mod web;
