//! Shadows: which requests are copied, what the copies carry, and whether the answers agree.
//!
//! Pure: whoever drives it makes the calls, tells the time and counts. The way of a copy:
//!
//! 1. [`Shadows::select`] names the shadows of a request, [`Shadows::prepare_copy`] prepares the head of the copy.
//! 2. [`Mirror::begin_all`] opens an exchange, which collects the request's body and the live answer as they
//!    stream by. At the complete end of the request the copy is queued.
//! 3. [`Mirror::next`] hands out queued copies; their answers come back through [`Mirror::answer`].
//! 4. When both answers are complete, in either order, they are compared.
//!
//! A shadow may have a baseline, a second copy for the live model: a shadow of its own, whose
//! comparison tells what is noise in the one it serves.
//!
//! Each selected request gets exactly one [`Outcome`].
//!
//! | file | what |
//! |---|---|
//! | `settings` | what an operator writes -> [`Shadows`] |
//! | `select`, `sample`, `stream` | which shadows a request gets |
//! | `copy`, `names`, `path`, `seal` | what a copy carries |
//! | `quota`, `body_buffer` | bytes that are held, and their limits |
//! | `breaker` | when a failing shadow is left alone |
//! | `id`, `exchange`, `mirror` | the life of an exchange |
//! | `head`, `compare` | what an answer says, and whether two agree |
//! | `event`, `log_limit` | what is counted and logged |

mod body_buffer;
mod breaker;
mod comparable;
pub mod compare;
mod copy;
mod event;
mod exchange;
mod head;
mod id;
mod log_limit;
mod mirror;
pub(crate) mod names;
mod path;
mod quota;
mod sample;
mod seal;
mod select;
mod settings;

pub use comparable::is_uncomparable;
pub use copy::{CopyHead, upstream};
pub use event::{Outcome, ShadowObserver};
pub use head::Head;
pub use id::{ExchangeId, ShadowId};
pub use mirror::{Answer, Call, Gauges, Mirror};
pub use select::{ShadowView, Unselected};
pub use settings::{Credentials, Shadow, Shadows};
