//! What the end-to-end suites share: a gateway, models, tokens and clients.
