//! What is shipped for Prometheus and Grafana, judged by a real Prometheus. `cargo xtask test monitoring` builds it.

mod dashboard;
mod documents;
mod faults;
mod load;
mod picture;
mod prometheus;
mod rules;
mod site;
mod trap;
mod watch;
