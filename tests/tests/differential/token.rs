//! A token as it is described, and as it is sent.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use testbed::tokens::now;

use crate::keys::{encode, sign};

/// What a token says, who signed it, and how it is spelt. Times are written as `@+3600@`: seconds from
/// now, so that a description holds for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token {
    /// Members of the header, each with its JSON text.
    pub header: Vec<(String, String)>,
    /// Claims, each with its JSON text.
    pub claims: Vec<(String, String)>,
    pub owner: String,
    pub algorithm: String,
    pub spelling: Spelling,
}

/// How the text differs from the one that RFC 7515 §3.1 describes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Spelling {
    #[default]
    Right,
    /// No token at all.
    Nonsense,
    Empty,
    /// Two parts, and an empty third.
    Unsigned,
    TwoParts,
    FourParts,
    /// An empty part behind, between or before the others.
    DotBehind,
    DotBetween,
    DotBefore,
    /// White space in a part.
    SpaceInHeader,
    SpaceInPayload,
    SpaceInSignature,
    /// Bits set that no byte holds, in the last character of the payload or of the signature.
    UnusedBitsInPayload,
    UnusedBitsInSignature,
    PaddedSignature,
    /// Another alphabet's character.
    PlusInSignature,
    FlippedSignature,
    ShortSignature,
    /// JSON that RFC 8259 does not know: a comma behind the last member.
    CommaInHeader,
    CommaInPayload,
    NullHeader,
    NullPayload,
    ListPayload,
    RepeatedClaim,
    NotJson,
}

impl Token {
    /// The text that is sent.
    pub fn text(&self) -> Result<String> {
        use Spelling as S;
        let comma = |here: bool| if here { "," } else { "" };
        let header = match self.spelling {
            S::NullHeader => "null".to_owned(),
            spelling => object(&self.header, comma(spelling == S::CommaInHeader)),
        };
        let payload = match self.spelling {
            S::NullPayload => "null".to_owned(),
            S::ListPayload => "[]".to_owned(),
            S::NotJson => "{".to_owned(),
            S::RepeatedClaim => object(&self.claims, ",\"z\":1,\"z\":1"),
            spelling => object(&self.claims, comma(spelling == S::CommaInPayload)),
        };
        let mut header = encode(at(&header)?.as_bytes());
        let mut payload = encode(at(&payload)?.as_bytes());
        match self.spelling {
            S::SpaceInHeader => header.insert(4, ' '),
            S::SpaceInPayload => payload.insert(4, ' '),
            S::UnusedBitsInPayload => payload = next_letter(&payload)?,
            _ => {}
        }
        let signed = format!("{header}.{payload}");
        let mut signature = sign(&self.owner, &self.algorithm, signed.as_bytes())?;
        match self.spelling {
            S::FlippedSignature => {
                *signature.last_mut().context("an empty signature")? ^= 1;
            }
            S::ShortSignature => {
                signature.pop();
            }
            _ => {}
        }
        let signature = encode(&signature);
        Ok(match self.spelling {
            S::Nonsense => "nonsense".to_owned(),
            S::Empty => String::new(),
            S::Unsigned => format!("{signed}."),
            S::TwoParts => signed,
            S::FourParts => format!("{signed}.{signature}.x"),
            S::DotBehind => format!("{signed}.{signature}."),
            S::DotBetween => format!("{signed}..{signature}"),
            S::DotBefore => format!(".{signed}.{signature}"),
            S::SpaceInSignature => {
                let (start, end) = signature.split_at(4);
                format!("{signed}.{start} {end}")
            }
            S::UnusedBitsInSignature => format!("{signed}.{}", next_letter(&signature)?),
            S::PaddedSignature => {
                format!("{signed}.{signature}{}", "=".repeat((4 - signature.len() % 4) % 4))
            }
            S::PlusInSignature => format!("{signed}.+{}", signature.get(1..).unwrap_or_default()),
            _ => format!("{signed}.{signature}"),
        })
    }
}

fn object(members: &[(String, String)], behind: &str) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", serde_json::json!(name)))
        .collect();
    format!("{{{}{behind}}}", members.join(","))
}

/// Replaces `@+3600@` by a time.
fn at(text: &str) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('@') {
        let (seconds, after) = from.split_once('@').context("an @ alone")?;
        let seconds: i64 = seconds.parse().context("not a time")?;
        out += before;
        out += &now().saturating_add_signed(seconds).to_string();
        rest = after;
    }
    Ok(out + rest)
}

/// The last letter replaced by its successor: with 2 or 4 unused bits, one that decodes alike. A text
/// without unused bits stays as it is.
fn next_letter(text: &str) -> Result<String> {
    let (rest, last) = text.split_at(text.len() - 1);
    if text.len().is_multiple_of(4) {
        return Ok(text.to_owned());
    }
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = letters.find(last).context("no base64url")?;
    let next = letters.get(at + 1..at + 2).context("the last letter has unused bits set")?;
    Ok(format!("{rest}{next}"))
}
