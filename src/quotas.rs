//! Counts of quotas, in the proxy's shared data: all its workers count together, and the counts outlast a configuration.

use modelgate_engine::quota::SharedData;
use proxy_wasm::hostcalls as sdk;

use crate::host::property_bytes;

/// The shared data of one plugin.
#[derive(Debug)]
pub struct SharedCounts {
    /// Every plugin of a proxy with the same VM id sees the same shared data.
    prefix: String,
}

impl SharedCounts {
    /// That of the plugin whose callback this is.
    pub fn new() -> Self {
        let plugin = property_bytes("plugin_name").unwrap_or_default();
        Self { prefix: format!("modelgate.quota\0{}\0", String::from_utf8_lossy(&plugin)) }
    }
}

impl SharedData for SharedCounts {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let (value, number) = sdk::get_shared_data(&format!("{}{key}", self.prefix)).ok()?;
        Some((value?, number?))
    }

    fn set(&self, key: &str, value: &[u8], number: u32) -> bool {
        sdk::set_shared_data(&format!("{}{key}", self.prefix), Some(value), Some(number)).is_ok()
    }
}
