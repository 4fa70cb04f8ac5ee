//! Whether the caller may: Istio's `AuthorizationPolicy`, with models and operations.
