//! Whether a name is resolved, and to what.

use std::net::IpAddr;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use watchward_protocol::checks::dns::{Config, Record, Server};
use watchward_protocol::health::Value;

use super::Found;
use super::words::shortened;

/// How many answers are told.
const TOLD: usize = 8;

/// Asks once. Nothing is remembered, and `/etc/hosts` has no say: the servers are what is checked.
pub(super) async fn check(config: &Config) -> Found {
    let (name, record) = (&config.name, config.record);
    let resolver = match resolver(config) {
        Ok(resolver) => resolver,
        Err(error) => return Found::unknown(format!("{name} cannot be asked for: {error}")),
    };
    let mut whole = match Name::from_ascii(name.as_str()) {
        Ok(name) => name,
        Err(error) => return Found::unknown(format!("{name} is no name of the DNS: {error}")),
    };
    whole.set_fqdn(true);
    match resolver.lookup(whole, kind(record)).await {
        Ok(lookup) => {
            let answers = lookup.answers().iter();
            let answers = answers.filter(|answer| answer.record_type() == kind(record));
            let (answers, ttls): (Vec<_>, Vec<_>) = answers
                .map(|answer| (answer.data.to_string(), answer.ttl))
                .unzip();
            judge(config, &answers, ttls.into_iter().min())
        }
        Err(error) => refused(config, &error),
    }
}

fn resolver(config: &Config) -> Result<TokioResolver, NetError> {
    let mut builder = match config.server {
        Some(server) => {
            let servers = vec![name_server(server)];
            let servers = ResolverConfig::from_parts(None, Vec::new(), servers);
            Resolver::builder_with_config(servers, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio()?,
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.cache_size = 0;
    options.attempts = 1;
    options.timeout = config.timeout.duration();
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

fn name_server(server: Server) -> NameServerConfig {
    let address = server.address();
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

fn kind(record: Record) -> RecordType {
    match record {
        Record::A => RecordType::A,
        Record::Aaaa => RecordType::AAAA,
        Record::Caa => RecordType::CAA,
        Record::Cname => RecordType::CNAME,
        Record::Mx => RecordType::MX,
        Record::Ns => RecordType::NS,
        Record::Ptr => RecordType::PTR,
        Record::Soa => RecordType::SOA,
        Record::Srv => RecordType::SRV,
        Record::Txt => RecordType::TXT,
    }
}

fn judge(config: &Config, answers: &[String], ttl: Option<u32>) -> Found {
    let (name, record) = (&config.name, config.record);
    if answers.is_empty() {
        return Found::failed(format!("{name} has no {record} record"));
    }
    let sorted = |answers: &[String]| {
        let mut sorted: Vec<_> = answers.iter().map(|one| plain(one, record)).collect();
        sorted.sort();
        sorted.dedup();
        sorted
    };
    let said = format!("{name} {record} is {}", listed(answers));
    let expected = config.expect.is_empty() || sorted(answers) == sorted(&config.expect);
    let mut found = if expected {
        Found::passed(said)
    } else {
        Found::failed(format!("{said}, expected {}", listed(&config.expect)))
    };
    let count = u32::try_from(answers.len()).unwrap_or(u32::MAX);
    found.values = vec![value("answers", count, "")];
    found.values.extend(ttl.map(|ttl| value("ttl", ttl, "s")));
    found
}

fn value(name: &str, number: u32, unit: &str) -> Value {
    Value::new(name, f64::from(number), unit)
}

/// An answer as it is compared: addresses however they are written, names without regard to case.
fn plain(answer: &str, record: Record) -> String {
    if let Ok(ip) = answer.parse::<IpAddr>() {
        return ip.to_string();
    }
    let text = answer.trim_matches('"');
    match record {
        Record::Txt | Record::Caa => answer.replace('"', ""),
        Record::A
        | Record::Aaaa
        | Record::Cname
        | Record::Mx
        | Record::Ns
        | Record::Ptr
        | Record::Soa
        | Record::Srv => text.trim_end_matches('.').to_ascii_lowercase(),
    }
}

fn listed(answers: &[String]) -> String {
    let told = answers.iter().take(TOLD);
    let mut told: Vec<_> = told.map(|one| shortened(one.as_bytes(), 200)).collect();
    if answers.len() > TOLD {
        told.push(format!("{} more", answers.len() - TOLD));
    }
    told.join(", ")
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what has no words of its own is told as the resolver tells it"
)]
fn refused(config: &Config, error: &NetError) -> Found {
    let (name, record) = (&config.name, config.record);
    let asked = config.server.map(|server| server.to_string());
    let asked = asked.as_deref().unwrap_or("this host's name servers");
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        NetError::Timeout | NetError::NoConnections => {
            return Found::failed(format!("no answer from {asked} about {name}"));
        }
        error => return Found::failed(format!("no answer from {asked} about {name}: {error}")),
    };
    Found::failed(match code {
        ResponseCode::NXDomain => format!("{name} does not exist (NXDOMAIN), says {asked}"),
        ResponseCode::NoError => format!("{name} has no {record} record, says {asked}"),
        ResponseCode::ServFail => format!("{asked} failed to resolve {name} (SERVFAIL)"),
        ResponseCode::Refused => format!("{asked} refused to resolve {name} (REFUSED)"),
        code => format!("{asked} did not resolve {name}: {code}"),
    })
}

#[cfg(test)]
mod tests;
