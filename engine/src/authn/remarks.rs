//! What is to be said of single keys of a set: by name and reason, within bounds.

use std::borrow::Cow;
use std::fmt;

use crate::config::{Errors, Path, Warning};

/// How many keys of a kind are named; the others are counted.
const NAMED: usize = 16;

/// How many characters of a key's id are shown.
const ID_SHOWN: usize = 64;

/// A single key of a set.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// In a list, by its place and id.
    Index(usize, Option<&'a str>),
    /// A certificate.
    Id(&'a str),
}

/// Something to be said of a single key.
#[derive(Debug)]
pub enum Note {
    /// It cannot or may not verify.
    LeftOut(Cow<'static, str>),
    /// The same, of a key that signs no tokens: nothing is wrong.
    Unrelated(Cow<'static, str>),
    /// Its secret half is there, too.
    Private,
    /// It is a shared secret.
    Secret,
}

/// What is to be said of a set's keys.
#[derive(Debug, Default)]
pub struct Remarks {
    left_out: List,
    unrelated: List,
    private: List,
    secret: List,
}

#[derive(Debug, Default)]
struct List {
    /// What the key is called, and what is wrong with it.
    named: Vec<(String, Cow<'static, str>)>,
    more: usize,
}

impl List {
    fn add(&mut self, which: Which<'_>, why: Cow<'static, str>) {
        if self.named.len() < NAMED {
            self.named.push((which.to_string(), why));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

/// `keys[0] (kid a): why; keys[1]: why; and 2 more`.
impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, why)) in self.named.iter().enumerate() {
            let mark = if i > 0 { "; " } else { "" };
            let colon = if why.is_empty() { "" } else { ": " };
            write!(f, "{mark}{name}{colon}{why}")?;
        }
        if self.more > 0 { write!(f, "; and {} more", self.more) } else { Ok(()) }
    }
}

/// The place in the set, and the key's own id as far as a log may show it.
impl fmt::Display for Which<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |id: &str| id.escape_debug().take(ID_SHOWN).collect::<String>();
        match self {
            Self::Index(i, None | Some("")) => write!(f, "keys[{i}]"),
            Self::Index(i, Some(id)) => write!(f, "keys[{i}] (kid {})", shown(id)),
            Self::Id(id) => f.write_str(&shown(id)),
        }
    }
}

impl Remarks {
    /// Says something of a key.
    pub fn add(&mut self, which: Which<'_>, note: Note) {
        match note {
            Note::LeftOut(why) => self.left_out.add(which, why),
            Note::Unrelated(why) => self.unrelated.add(which, why),
            Note::Private => self.private.add(which, "".into()),
            Note::Secret => self.secret.add(which, "".into()),
        }
    }

    /// Why each key is left out, of a set that has no other.
    pub fn all(&self) -> String {
        let lists = [&self.left_out, &self.unrelated].into_iter().filter(|list| !list.is_empty());
        lists.map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Warns of each key of a set that stands in the configuration.
    pub fn warn(&self, path: &Path<'_>, errors: &mut Errors) {
        for (name, why) in &self.left_out.named {
            let fix = "tokens signed with this key are refused";
            let what = format!("is left out: {why}");
            errors.warn(Warning::KeyLeftOut, &path.field(name), what, fix);
        }
        if self.left_out.more > 0 {
            let what = format!("has {} more that are left out", self.left_out.more);
            errors.warn(
                Warning::KeyLeftOut,
                path,
                what,
                "tokens signed with these keys are refused",
            );
        }
        if !self.private.is_empty() {
            let what = format!("holds private keys ({})", self.private);
            let fix = "remove d and everything else that is secret, and replace the keys";
            errors.warn(Warning::PrivateKey, path, what, fix);
        }
        if !self.secret.is_empty() {
            let what = format!(
                "holds shared secrets, in a resource that is not a Secret ({}): whoever may read it \
                 can sign tokens",
                self.secret
            );
            errors.warn(Warning::SharedSecret, path, what, "public keys: RSA, EC or Ed25519");
        }
    }

    /// What an operator should know of a set that was fetched; `None` if there is nothing.
    pub fn of_fetched(&self) -> Option<String> {
        let mut said = Vec::new();
        if !self.left_out.is_empty() {
            said.push(format!("tokens signed with these keys are refused: {}", self.left_out));
        }
        for (what, list) in [("private keys", &self.private), ("shared secrets", &self.secret)] {
            if !list.is_empty() {
                said.push(format!(
                    "{what} are served, with which everybody can sign tokens: {list}"
                ));
            }
        }
        (!said.is_empty()).then(|| said.join(". "))
    }
}
