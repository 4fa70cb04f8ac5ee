//! The filter: what a proxy calls (proxy-wasm ABI 0.2.1, by the SDK), and what it asks the engine then.
//!
//! | module | what it is |
//! |---|---|
//! | `root` | the root context: configuration, ticks, answers to callouts |
//! | `worker` | what the streams of one worker share under one configuration, and what is due at a tick |
//! | `http` | the HTTP context: one request and its response |
//! | `body` | a request whose body names the model |
//! | `usage` | what the answer has cost |
//! | `paused` | requests that are paused until their issuer's keys come |
//! | `jwks` | JWKS fetches |
//! | `quotas` | what quotas count, in the proxy's shared data |
//! | `shadows` | copies, sent as callouts, and their answers |
//! | `metrics` | counts, handed to the proxy once a second |
//! | `host` | the proxy as the engine sees it |
//! | `hostcalls` | host calls that the SDK does not offer |
//! | `header_map` | header maps as the host writes them |

#![cfg(target_arch = "wasm32")]
#![deny(clippy::too_many_lines)]

mod body;
mod header_map;
mod host;
mod hostcalls;
mod http;
mod jwks;
mod metrics;
mod paused;
mod quotas;
mod root;
mod shadows;
mod usage;
mod worker;

/// Called once for each VM.
mod main {
    use proxy_wasm::types::LogLevel;

    use crate::root::Root;

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(LogLevel::Warn);
        // The SDK's own hook would show the message, which might quote a request.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            log::error!("modelgate: panic at {place}");
        }));
        proxy_wasm::set_root_context(|id| Box::new(Root::new(id)));
    }}
}
