//! JSON pointers (RFC 6901) in which a token `*` stands for any one token, followed side by side.

use crate::config::{Errors, Path};

/// How many pointers a shadow may have: one bit each.
const MAX_POINTERS: usize = u64::BITS as usize;

/// A set of pointers.
#[derive(Debug, Default, PartialEq)]
pub struct Pointers(Vec<Vec<Token>>);

#[derive(Debug, PartialEq)]
enum Token {
    Any,
    Name { text: Box<[u8]>, index: Option<usize> },
}

/// How far the pointers were followed down to a value of the document.
#[derive(Debug, Clone, Copy)]
pub struct Followed {
    alive: u64,
    depth: usize,
}

/// One step down.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// To a member of an object.
    Name(&'a [u8]),
    /// To an element of an array.
    Index(usize),
}

impl Followed {
    /// How many pointers lead here, or further down.
    pub fn count(self) -> usize {
        self.alive.count_ones() as usize
    }
}

impl Pointers {
    /// Reads the pointers at `path`, which mean what `right` says.
    pub fn compile(texts: &[String], right: &str, path: &Path<'_>, errors: &mut Errors) -> Self {
        if texts.len() > MAX_POINTERS {
            let fix = format!("at most {MAX_POINTERS}; * stands for any one token");
            errors.add_value(path, "has too many pointers", texts.len(), fix);
        }
        let read = texts.iter().enumerate().filter_map(|(i, text)| {
            let tokens = tokens(text);
            if tokens.is_none() {
                errors.add_value(&path.index(i), "is not a JSON pointer", text, right);
            }
            tokens
        });
        Self(read.collect())
    }

    /// Of texts that are known to be pointers.
    pub fn of(texts: &[&str]) -> Self {
        Self(texts.iter().filter_map(|text| tokens(text)).collect())
    }

    /// The same below each element of a list at the top.
    pub fn of_each(texts: &[&str]) -> Self {
        let mut all = Self::of(texts);
        all.0.iter_mut().for_each(|tokens| tokens.insert(0, Token::Any));
        all
    }

    /// At the document itself.
    pub fn start(&self) -> Followed {
        let alive = self.0.iter().enumerate().fold(0, |bits, (i, _)| bits | bit(i));
        Followed { alive, depth: 0 }
    }

    /// One step further down.
    pub fn follow(&self, at: Followed, step: Step<'_>) -> Followed {
        if at.alive == 0 {
            return at;
        }
        let fits = |tokens: &[Token]| {
            tokens.get(at.depth).is_some_and(|token| match (token, step) {
                (Token::Any, _) => true,
                (Token::Name { text, .. }, Step::Name(name)) => **text == *name,
                (Token::Name { index, .. }, Step::Index(i)) => *index == Some(i),
            })
        };
        let alive = self.living(at).filter(|(_, tokens)| fits(tokens));
        let alive = alive.fold(0, |bits, (i, _)| bits | bit(i));
        Followed { alive, depth: at.depth.saturating_add(1) }
    }

    /// Whether a pointer ends here.
    pub fn ends(&self, at: Followed) -> bool {
        at.alive != 0 && self.living(at).any(|(_, tokens)| tokens.len() == at.depth)
    }

    /// Whether a pointer leads further down.
    pub fn leads_on(&self, at: Followed) -> bool {
        at.alive != 0 && self.living(at).any(|(_, tokens)| tokens.len() > at.depth)
    }

    fn living(&self, at: Followed) -> impl Iterator<Item = (usize, &Vec<Token>)> {
        self.0.iter().enumerate().filter(move |(i, _)| at.alive & bit(*i) != 0)
    }
}

fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|i| 1u64.checked_shl(i)).unwrap_or(0)
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.strip_prefix('/')?.split('/').map(token).collect()
}

fn token(text: &str) -> Option<Token> {
    if text == "*" {
        return Some(Token::Any);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        decoded.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    let digits = decoded.bytes().all(|c| c.is_ascii_digit());
    let index = (digits && (decoded == "0" || !decoded.starts_with('0')))
        .then(|| decoded.parse().ok())
        .flatten();
    Some(Token::Name { text: decoded.into_bytes().into(), index })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(texts: &[&str]) -> (Pointers, String) {
        let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        let mut errors = Errors::default();
        let read = Pointers::compile(&texts, "as /meta", &Path::ROOT.field("ignore"), &mut errors);
        (read, errors.to_string())
    }

    #[test]
    fn follows_names_indices_and_any() {
        let (set, errors) = pointers(&["/meta", "/outputs/*/id", "/a~1b/~0", "/list/1", ""]);
        assert_eq!(errors, "");
        let ends = |steps: &[Step<'_>]| {
            set.ends(steps.iter().fold(set.start(), |at, step| set.follow(at, *step)))
        };
        use Step::{Index, Name};
        assert!(ends(&[]));
        assert!(ends(&[Name(b"meta")]));
        assert!(ends(&[Name(b"outputs"), Index(3), Name(b"id")]));
        assert!(ends(&[Name(b"outputs"), Name(b"x"), Name(b"id")]));
        assert!(ends(&[Name(b"a/b"), Name(b"~")]));
        assert!(ends(&[Name(b"list"), Index(1)]));
        assert!(!ends(&[Name(b"list"), Index(11)]));
        assert!(!ends(&[Name(b"outputs"), Index(3)]));
        assert!(!ends(&[Name(b"metadata")]));
    }

    #[test]
    fn refuses_what_is_no_pointer() {
        assert_eq!(
            pointers(&["meta", "/a~2", "/ok", "/a~"]).1,
            "ignore[0]: is not a JSON pointer (meta): as /meta\n\
             ignore[1]: is not a JSON pointer (/a~2): as /meta\n\
             ignore[3]: is not a JSON pointer (/a~): as /meta"
        );
        let many = vec!["/x"; 65];
        assert!(pointers(&many).1.starts_with("ignore: has too many pointers (65)"));
    }
}
