//! The module in front of real model servers.
