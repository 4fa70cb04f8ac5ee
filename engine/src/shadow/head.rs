//! What the head of an answer says: status, media type, coding, length.

use crate::encoding::Encoding;
use crate::request::Header;

/// The head of an answer, without what the comparison does not need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// HTTP status; 0 where there was none.
    pub status: u16,
    /// `grpc-status`, from the headers or the trailers.
    pub grpc_status: Option<u16>,
    /// `content-type` in lower case, without parameters.
    pub media_type: Box<[u8]>,
    /// `content-encoding`.
    pub encoding: Encoding,
    /// `grpc-encoding`, of messages that say they are compressed.
    pub message_encoding: Encoding,
    /// `content-length`.
    pub length: Option<usize>,
    /// `inference-header-content-length`: how much of the body is JSON, where tensors follow it in
    /// their binary form.
    pub json_length: Option<usize>,
    /// Whether a server sent it: Envoy's router marks answers of upstreams, and not its own.
    pub from_upstream: bool,
}

impl Head {
    /// Reads header lines, names in lower case.
    pub fn of(headers: &[Header<'_>]) -> Self {
        let first = |name: &[u8]| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let media = first(b"content-type").unwrap_or_default();
        let media = media.split(|c| *c == b';').next().unwrap_or_default();
        let codings = headers.iter().filter(|(n, _)| *n == b"content-encoding");
        Self {
            status: number(first(b":status")).unwrap_or(0),
            grpc_status: first(b"grpc-status").map(code),
            media_type: media.trim_ascii().to_ascii_lowercase().into(),
            encoding: match codings.clone().count() {
                0 => Encoding::Identity,
                1 => Encoding::of(first(b"content-encoding").unwrap_or_default()),
                _ => Encoding::Other,
            },
            message_encoding: Encoding::of(first(b"grpc-encoding").unwrap_or_default()),
            length: number(first(b"content-length")),
            json_length: number(first(b"inference-header-content-length")),
            from_upstream: first(b"x-envoy-upstream-service-time").is_some(),
        }
    }

    /// Adds what trailers say: the status of a gRPC answer with a message.
    pub fn add_trailers(&mut self, trailers: &[Header<'_>]) {
        let status = trailers.iter().find(|(n, _)| *n == b"grpc-status").map(|(_, v)| *v);
        self.grpc_status = status.map(code).or(self.grpc_status);
    }

    /// The statuses of HTTP and of gRPC, of a complete answer. To who asks by gRPC one without a status has failed.
    pub fn statuses(&self) -> (u16, u16) {
        (self.status, self.grpc_status.unwrap_or(if self.is_grpc() { UNKNOWN } else { 0 }))
    }

    /// The HTTP status, or for gRPC the one that stands for its code (google.rpc.Code).
    pub fn effective_status(&self) -> u16 {
        match self.grpc_status {
            None | Some(0) => self.status,
            Some(3 | 9 | 11) => 400,
            Some(16) => 401,
            Some(7) => 403,
            Some(5) => 404,
            Some(6 | 10) => 409,
            Some(8) => 429,
            Some(1) => 499,
            Some(12) => 501,
            Some(14) => 503,
            Some(4) => 504,
            Some(_) => 500,
        }
    }

    /// Whether a call of gRPC broke off: a client that is told no status takes it for UNKNOWN ("gRPC over HTTP2",
    /// "Responses"). To be asked once trailers would be there.
    pub fn lacks_status(&self) -> bool {
        self.status == 200 && self.grpc_status.is_none() && self.is_grpc()
    }

    /// Whether the body is messages of gRPC.
    pub fn is_grpc(&self) -> bool {
        [&b"application/grpc"[..], b"application/grpc+proto"].contains(&&*self.media_type)
    }

    /// Whether the body is messages of protobuf: of gRPC in any of its forms, or one alone.
    pub fn is_message(&self) -> bool {
        let of = self.application();
        of.starts_with(b"grpc") || [&b"proto"[..], b"protobuf"].contains(&of)
    }

    /// Whether the body is one of many texts, sent as they come.
    pub fn is_stream(&self) -> bool {
        const LINES: &[&[u8]] = &[b"ndjson", b"jsonl", b"jsonlines", b"ldjson", b"json-seq"];
        *self.media_type == *b"text/event-stream" || LINES.contains(&self.application())
    }

    /// What follows `application/`, or `application/x-`.
    fn application(&self) -> &[u8] {
        let of = self.media_type.strip_prefix(b"application/").unwrap_or_default();
        of.strip_prefix(b"x-").unwrap_or(of)
    }

    /// Whether the body is JSON by its media type (RFC 6839 §3.1 for the suffix).
    pub fn is_json(&self) -> bool {
        self.media_type.ends_with(b"/json") || self.media_type.ends_with(b"+json")
    }
}

/// What a status is that cannot be read (google.rpc.Code).
const UNKNOWN: u16 = 2;

fn code(status: &[u8]) -> u16 {
    number(Some(status)).unwrap_or(UNKNOWN)
}

fn number<T: std::str::FromStr>(value: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(value?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters() {
        let head = Head::of(&[
            (b":status", b"200"),
            (b"content-type", b"Application/JSON; charset=utf-8"),
            (b"content-encoding", b"gzip"),
            (b"content-length", b"12"),
            (b"inference-header-content-length", b"10"),
            (b"x-envoy-upstream-service-time", b"3"),
        ]);
        assert_eq!((head.status, &*head.media_type), (200, &b"application/json"[..]));
        assert_eq!((head.encoding, head.length), (Encoding::Gzip, Some(12)));
        assert_eq!(head.json_length, Some(10));
        assert!(head.is_json() && head.from_upstream && !head.is_stream());
        let none = Head::of(&[(b"content-encoding", b"gzip"), (b"content-encoding", b"br")]);
        assert_eq!((none.status, none.encoding, none.length), (0, Encoding::Other, None));
    }

    #[test]
    fn media_types() {
        let head = |media: &str| Head::of(&[(b"content-type", media.as_bytes())]);
        for (media, is_message, is_stream) in [
            ("application/grpc", true, false),
            ("application/grpc+proto", true, false),
            ("application/grpc-web-text", true, false),
            ("application/x-protobuf", true, false),
            ("application/protobuf", true, false),
            ("application/octet-stream", false, false),
            ("application/x-jsonlines; charset=utf-8", false, true),
            ("application/ndjson", false, true),
            ("text/event-stream", false, true),
            ("text/jsonl", false, false),
            ("application/x-json", false, false),
            ("", false, false),
        ] {
            let head = head(media);
            assert_eq!((head.is_message(), head.is_stream()), (is_message, is_stream), "{media}");
        }
    }

    #[test]
    fn grpc_statuses_stand_for_http_ones() {
        let mut head = Head::of(&[(b":status", b"200"), (b"content-type", b"application/grpc")]);
        assert_eq!(head.effective_status(), 200);
        assert_eq!(head.statuses(), (200, 2), "complete, and without a status");
        for (code, status, read) in [
            ("0", 200, 0),
            ("7", 403, 7),
            ("14", 503, 14),
            ("2", 500, 2),
            ("99", 500, 99),
            ("x", 500, 2),
            ("", 500, 2),
            ("70000", 500, 2),
            ("-1", 500, 2),
        ] {
            let trailer: [Header<'_>; 1] = [(b"grpc-status", code.as_bytes())];
            head.add_trailers(&trailer);
            assert_eq!((head.effective_status(), head.statuses().1), (status, read), "{code}");
            assert_eq!(Head::of(&trailer).grpc_status, Some(read), "{code}");
        }
    }
}
