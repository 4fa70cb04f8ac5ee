//! Why there is no saying whether two answers agree.

use std::fmt;

use crate::reasons::reasons;

/// Why two answers cannot be compared. Its words are for logs, and show nothing of the answers but a path.
#[derive(Debug, PartialEq)]
pub enum Reason {
    /// They cannot be read, or not in a bounded time.
    Unreadable(Unreadable),
    /// They differ nowhere but at this path and others of its kind; empty for the whole answers.
    Unsettled(String, Doubt),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(unreadable) => f.write_str(unreadable.as_str()),
            Self::Unsettled(path, doubt) => {
                f.write_str("they differ")?;
                if !path.is_empty() {
                    write!(f, " at {path},")?;
                }
                f.write_str(" where ")?;
                f.write_str(doubt.as_str())
            }
        }
    }
}

reasons! {
    /// Why answers are not read, or not to their end.
    pub enum Unreadable {
        LiveCoding = "the live answer's coding cannot be read",
        ShadowCoding = "the shadow's coding cannot be read",
        MessageCoding = "the coding of a message cannot be read",
        // Two of one model are cut into events anew each time, and say who speaks in each of them.
        Streams = "they are streams, which are not compared unless they are the same bytes",
        NotJson = "they claim to be JSON and are not",
        // A map of a message has no order, for one.
        Messages = "they are messages that cannot be read, and not the same bytes",
        Refusals = "both refuse, in words of their own",
        TooComplex = "they have too many values, levels or parts",
        TooLong = "they take too long to compare",
    }

    /// Why a difference says nothing about the models.
    pub enum Doubt {
        Noise = "the live model differs from itself",
        Refusals = "both say why they refuse",
        RefusalsOrNoise = "both refuse or the live model differs from itself",
    }
}
