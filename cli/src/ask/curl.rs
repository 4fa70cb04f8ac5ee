//! A curl command line, as people have it at hand: what of it makes the request. Options that only say how it is sent or
//! shown are passed over; one that is not known is an error, because it may take what follows it.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::Asked;

/// Options that say nothing about the request.
const WITHOUT: &[&str] = &[
    "--compressed",
    "--fail",
    "--fail-with-body",
    "--globoff",
    "--http1.1",
    "--http2",
    "--http2-prior-knowledge",
    "--include",
    "--insecure",
    "--location",
    "--no-buffer",
    "--no-progress-meter",
    "--path-as-is",
    "--show-error",
    "--silent",
    "--verbose",
    "-f",
    "-g",
    "-i",
    "-k",
    "-L",
    "-N",
    "-s",
    "-S",
    "-v",
];

/// The same with something behind them.
const WITH: &[&str] = &[
    "--cacert",
    "--cert",
    "--connect-timeout",
    "--connect-to",
    "--key",
    "--max-time",
    "--output",
    "--resolve",
    "--retry",
    "--write-out",
    "-E",
    "-m",
    "-o",
    "-w",
];

/// Short options that take the rest of their word.
const SHORT: &[char] = &['X', 'H', 'd', 'A', 'u', 'b', 'e', 'o', 'w', 'm', 'E'];

/// Reads the command line.
///
/// # Errors
///
/// It is not one of curl's, or asks for something else than one HTTP request.
pub fn read(line: &str) -> Result<Asked> {
    let words = words(line)?;
    let mut words = words.into_iter().flat_map(apart).peekable();
    let first = words.next().unwrap_or_default();
    ensure!(first == "curl" || first.ends_with("/curl"), "it does not begin with curl");
    let mut asked = Asked { scheme: "http".to_owned(), ..Asked::default() };
    let (mut url, mut data, mut in_query, mut head) = (None, Vec::new(), false, false);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("nothing stands behind {word}"));
        match word.as_str() {
            "-X" | "--request" => asked.method = value()?,
            "-H" | "--header" => header(&value()?, &mut asked)?,
            "-d" | "--data" | "--data-ascii" | "--data-binary" => data.push(value()?),
            "--data-raw" => data.push(format!("\u{0}{}", value()?)),
            "--json" => {
                data.push(value()?);
                for name in ["content-type", "accept"] {
                    asked.headers.push((name.to_owned(), "application/json".to_owned()));
                }
            }
            "-G" | "--get" => in_query = true,
            "-I" | "--head" => head = true,
            "-A" | "--user-agent" => asked.headers.push(("user-agent".to_owned(), value()?)),
            "-e" | "--referer" => asked.headers.push(("referer".to_owned(), value()?)),
            "-b" | "--cookie" => asked.headers.push(("cookie".to_owned(), value()?)),
            "-u" | "--user" => {
                let basic = format!("Basic {}", STANDARD.encode(value()?));
                asked.headers.push(("authorization".to_owned(), basic));
            }
            "--oauth2-bearer" => {
                asked.headers.push(("authorization".to_owned(), format!("Bearer {}", value()?)));
            }
            "--url" => url = Some(value()?),
            known if WITHOUT.contains(&known) => {}
            known if WITH.contains(&known) => drop(value()?),
            option if option.starts_with('-') && option.len() > 1 => {
                let name = option.split('=').next().unwrap_or_default();
                bail!("{name} is not read: leave it out, or give the request by --path")
            }
            address => {
                ensure!(url.is_none(), "there are two addresses: one request is decided at a time");
                url = Some(address.to_owned());
            }
        }
    }
    let url = url.context("there is no address")?;
    address(&url, &mut asked)?;
    body(&data, in_query, &mut asked)?;
    if head && asked.method.is_empty() {
        asked.method = "HEAD".to_owned();
    }
    Ok(asked)
}

fn header(line: &str, asked: &mut Asked) -> Result<()> {
    let (name, value) = match line.split_once(':') {
        Some(parts) => parts,
        // Not shown: it may be a token.
        None => (line.strip_suffix(';').context("a header has no colon behind its name")?, ""),
    };
    asked.headers.push((name.to_owned(), value.trim().to_owned()));
    Ok(())
}

fn address(url: &str, asked: &mut Asked) -> Result<()> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    ensure!(matches!(scheme, "http" | "https"), "{scheme} is not HTTP");
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if let Some(user) = user {
        let basic = format!("Basic {}", STANDARD.encode(user));
        asked.headers.push(("authorization".to_owned(), basic));
    }
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    asked.scheme = scheme.to_owned();
    asked.host = authority.to_owned();
    asked.path = format!("{slash}{path}");
    Ok(())
}

fn body(data: &[String], in_query: bool, asked: &mut Asked) -> Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    let mut parts = Vec::new();
    for part in data {
        parts.push(match (part.strip_prefix('\u{0}'), part.strip_prefix('@')) {
            (Some(raw), _) => raw.as_bytes().to_vec(),
            (None, Some(file)) => std::fs::read(file).with_context(|| file.to_owned())?,
            (None, None) => part.as_bytes().to_vec(),
        });
    }
    let whole = parts.join(&b'&');
    if in_query {
        let mark = if asked.path.contains('?') { '&' } else { '?' };
        asked.path = format!("{}{mark}{}", asked.path, String::from_utf8_lossy(&whole));
        return Ok(());
    }
    if !asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        let form = "application/x-www-form-urlencoded".to_owned();
        asked.headers.push(("content-type".to_owned(), form));
    }
    asked.body = Some(whole);
    Ok(())
}

/// `-XPOST` as `-X POST`, `-sSH x` as `-s -S -H x`, `--data=x` as it is.
fn apart(word: String) -> Vec<String> {
    let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else {
        return vec![word];
    };
    let mut found = Vec::new();
    for (i, letter) in letters.char_indices() {
        found.push(format!("-{letter}"));
        let rest = letters.get(i.saturating_add(letter.len_utf8())..).unwrap_or_default();
        if SHORT.contains(&letter) && !rest.is_empty() {
            found.push(rest.to_owned());
            break;
        }
    }
    if found.is_empty() { vec![word] } else { found }
}

/// The words of a line, as a POSIX shell takes them apart: quotes, and lines that go on behind a backslash. A variable is
/// not known here.
fn words(line: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut has_word) = (Vec::new(), String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' => {
                has_word = true;
                loop {
                    match rest.next().context("a ' is not closed")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                has_word = true;
                loop {
                    match rest.next().context("a \" is not closed")? {
                        '"' => break,
                        '\\' => match rest.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some('\n') => {}
                            Some(c) => word.extend(['\\', c]),
                            None => {}
                        },
                        '$' => bail!("a variable of the shell is not known here: write its value"),
                        c => word.push(c),
                    }
                }
            }
            '\\' => match rest.next() {
                Some('\n') | None => {}
                Some(c) => {
                    has_word = true;
                    word.push(c);
                }
            },
            '$' => bail!("a variable of the shell is not known here: write its value"),
            '|' | ';' | '>' | '<' if !has_word => break,
            c if c.is_whitespace() => {
                if std::mem::take(&mut has_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                has_word = true;
                word.push(c);
            }
        }
    }
    if has_word {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(asked: &Asked) -> String {
        let lines = asked.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        lines.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn what_people_paste_is_read() {
        let asked = read(
            "curl -sS -XPOST 'https://models.example.com/models/prod/iris:predict?x=1#y' \\\n  \
             -H 'Authorization: Bearer a.b.c' -H \"x-team: \\\"red\\\"\" --data-raw '{\"a\": 1}' | jq .",
        )
        .expect("a request");
        assert_eq!((asked.method(), asked.host.as_str()), ("POST", "models.example.com"));
        assert_eq!(
            (asked.scheme.as_str(), asked.path.as_str()),
            ("https", "/models/prod/iris:predict?x=1")
        );
        assert_eq!(
            headers(&asked),
            "Authorization: Bearer a.b.c | x-team: \"red\" | content-type: application/x-www-form-urlencoded"
        );
        assert_eq!(asked.body.as_deref(), Some(&b"{\"a\": 1}"[..]));

        let asked = read("curl models:8080 -u me:secret -G -d a=b -d c=d -I").expect("a request");
        assert_eq!((asked.method(), asked.path.as_str()), ("HEAD", "/?a=b&c=d"));
        assert_eq!(headers(&asked), "authorization: Basic bWU6c2VjcmV0");

        let asked = read("curl --json '{}' http://[::1]/v1 -kv -o /dev/null").expect("a request");
        assert_eq!((asked.method(), asked.host.as_str()), ("POST", "[::1]"));
        assert_eq!(headers(&asked), "content-type: application/json | accept: application/json");
    }

    #[test]
    fn what_is_not_one_request_is_refused() {
        for (line, why) in [
            ("wget http://a", "does not begin with curl"),
            ("curl", "no address"),
            ("curl http://a http://b", "two addresses"),
            ("curl ftp://a", "ftp is not HTTP"),
            ("curl -H", "nothing stands behind -H"),
            ("curl http://a -H 'x", "' is not closed"),
            ("curl http://a -H \"authorization: Bearer $TOKEN\"", "variable of the shell"),
            ("curl http://a --form x=y", "--form is not read"),
            ("curl http://a -d @no/such/file", "no/such/file"),
        ] {
            let error = read(line).map(|_| ()).expect_err(line);
            assert!(format!("{error:#}").contains(why), "{line}: {error:#}");
        }
    }
}
