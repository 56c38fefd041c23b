//! The parts of the configuration that follow reloads, and the hands that change them.

use std::sync::Arc;

use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::order::Order;
use watchward_protocol::time::Timestamp;

use crate::config::{Config, Policy};
use crate::{access, alerting, health, hosts, intake, keys, people, report, restriction, web};

/// The parts of the configuration that follow reloads.
pub(crate) struct Followed {
    pub(crate) web: Live<web::Config>,
    pub(crate) people: Live<people::Config>,
    pub(crate) alerting: alerting::Rules,
    pub(crate) hosts: Live<hosts::Config>,
    pub(crate) access: Live<access::Config>,
    pub(crate) health: Live<health::Config>,
    pub(crate) restriction: Live<restriction::Config>,
    pub(crate) rules: Live<restriction::Policy>,
    pub(crate) orders: Live<intake::Orders>,
    pub(crate) keys: Live<keys::Config>,
    pub(crate) report: Live<report::Config>,
    pub(crate) key_rules: Live<keys::Policy>,
}

/// Each part that follows reloads, and the hands that change them. The policy came into force
/// `since`.
pub(crate) fn follow(config: Config, (policy, since): (Policy, Timestamp)) -> (Followed, Reload) {
    let Policy {
        groups,
        networks,
        restriction: rules,
        health: checks,
        keys: key_rules,
        alerting: routes,
    } = policy;
    let (web_changes, web) = Live::new(config.web);
    let (people_changes, people) = Live::new(config.people);
    let (alerting_changes, alerting) = alerting::Rules::new(config.alerting, routes, groups);
    let (hosts_changes, hosts) = Live::new(config.hosts);
    let (access_changes, access) = Live::new(config.access);
    let (health_changes, health) = Live::new(config.health);
    let (restriction_changes, restriction) = Live::new(config.restriction);
    let gates = rules.clone();
    let (rules_changes, rules) = Live::new(restriction::Policy::of(networks, rules).since(since));
    let (orders_changes, orders) = Live::new(orders(checks, gates, since));
    let (keys_changes, keys) = Live::new(config.keys);
    let (report_changes, report) = Live::new(config.report);
    let (key_rules_changes, key_rules) = Live::new(key_rules);
    let followed = Followed {
        web,
        people,
        alerting,
        hosts,
        access,
        health,
        restriction,
        rules,
        orders,
        keys,
        report,
        key_rules,
    };
    let reload = Reload {
        web: web_changes,
        people: people_changes,
        alerting: alerting_changes,
        hosts: hosts_changes,
        access: access_changes,
        health: health_changes,
        restriction: restriction_changes,
        rules: rules_changes,
        orders: orders_changes,
        keys: keys_changes,
        report: report_changes,
        key_rules: key_rules_changes,
    };
    (followed, reload)
}

/// The hands that change a running collector's configuration.
pub(crate) struct Reload {
    web: watch::Sender<Arc<web::Config>>,
    people: watch::Sender<Arc<people::Config>>,
    alerting: alerting::Changes,
    hosts: watch::Sender<Arc<hosts::Config>>,
    access: watch::Sender<Arc<access::Config>>,
    health: watch::Sender<Arc<health::Config>>,
    restriction: watch::Sender<Arc<restriction::Config>>,
    rules: watch::Sender<Arc<restriction::Policy>>,
    orders: watch::Sender<Arc<intake::Orders>>,
    keys: watch::Sender<Arc<keys::Config>>,
    report: watch::Sender<Arc<report::Config>>,
    key_rules: watch::Sender<Arc<keys::Policy>>,
}

/// What should hold on each host, as of the policy that came into force `since`.
fn orders(checks: health::Policy, gates: restriction::Table, since: Timestamp) -> intake::Orders {
    intake::Orders::new(move |host| {
        let checks = Order::Checks(checks.of(&host.name));
        // Where nobody has brought a policy, as after a database was lost, what hosts hold stays.
        let gates = (since > Timestamp::default()).then(|| {
            let gates = gates.gates(&host.name, since, clock::now());
            Order::Gates(Arc::new(gates))
        });
        [checks].into_iter().chain(gates).collect()
    })
}

impl Reload {
    /// From now on this configuration counts. Where to listen and what to keep things in changes at
    /// the next start.
    pub(crate) fn configure(&self, config: Config) {
        let Config {
            store: _,
            intake: _,
            admin: _,
            sealing: _,
            web,
            people,
            policy: _,
            alerting,
            hosts,
            access,
            health,
            restriction,
            keys,
            report,
        } = config;
        self.web.send_replace(Arc::new(web));
        self.people.send_replace(Arc::new(people));
        self.alerting.configure(alerting);
        self.hosts.send_replace(Arc::new(hosts));
        self.access.send_replace(Arc::new(access));
        self.health.send_replace(Arc::new(health));
        self.restriction.send_replace(Arc::new(restriction));
        self.keys.send_replace(Arc::new(keys));
        self.report.send_replace(Arc::new(report));
    }

    /// From now on this policy is in force, which came `since` then. Hosts hear their orders again.
    pub(crate) fn rule(&self, policy: Policy, since: Timestamp) {
        let Policy {
            groups,
            networks,
            restriction: rules,
            health: checks,
            keys: key_rules,
            alerting: routes,
        } = policy;
        let orders = orders(checks, rules.clone(), since);
        self.alerting.rule(routes, groups);
        let rules = restriction::Policy::of(networks, rules).since(since);
        self.rules.send_replace(Arc::new(rules));
        self.orders.send_replace(Arc::new(orders));
        self.key_rules.send_replace(Arc::new(key_rules));
    }
}
