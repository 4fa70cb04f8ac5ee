//! Path templates: which rewrite applies, and what the request becomes.
