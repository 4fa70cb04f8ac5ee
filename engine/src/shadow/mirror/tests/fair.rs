//! Shadows that share a worker: what one of them has to compare takes nothing from the others.

use super::*;

/// Outcomes of the two shadows.
#[derive(Default)]
struct Outcomes([Vec<Outcome>; 2]);

impl ShadowObserver for Outcomes {
    fn selected(&mut self, _: ShadowId) {}
    fn outcome(&mut self, shadow: ShadowId, outcome: Outcome) {
        self.0[shadow.index()].push(outcome);
    }
    fn difference(&mut self, _: ShadowId, _: Kind) {}
    fn latencies(&mut self, _: ShadowId, _: u64, _: u64) {}
    fn score_difference(&mut self, _: ShadowId, _: u64) {}
    fn log(&mut self, _: &str) {}
}

/// What one of the models answers.
struct Answers {
    /// Milliseconds between two of them.
    every: u64,
    live: Vec<u8>,
    shadow: Vec<u8>,
    encoding: &'static [u8],
}

/// Lists of digits that agree, of so many bytes together; white space is no difference, but has to be read.
fn digits(every: u64, bytes: usize) -> Answers {
    let live = [b"[".as_slice(), "1,".repeat(bytes / 4).as_bytes(), b"1]"].concat();
    let shadow = [live.as_slice(), b" "].concat();
    Answers { every, live, shadow, encoding: b"identity" }
}

impl Answers {
    fn same(self) -> Self {
        Self { shadow: self.live.clone(), ..self }
    }

    /// The live answer as gzip, stored and not compressed.
    fn gzip(self) -> Self {
        let mut live = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let length = u16::try_from(self.live.len()).unwrap();
        live.extend([1].into_iter().chain(length.to_le_bytes()).chain((!length).to_le_bytes()));
        live.extend(&self.live);
        live.extend([0; 4].into_iter().chain(u32::from(length).to_le_bytes()));
        Self { live, encoding: b"gzip", ..self }
    }

    fn exchange(&self, shadow: usize, mirror: &mut Mirror, now: u64, seen: &mut Outcomes) {
        let lines: [Header<'_>; 2] = [(b":method", b"POST"), (b":path", b"/p")];
        let model = Model { id: "prod/iris".into(), predictor: None };
        let shadow = ShadowId::new(shadow);
        let copy = mirror.shadows.prepare_copy(shadow, &lines, &model, 0).unwrap();
        let Some(id) = mirror.begin(shadow, Ok(copy), now, seen) else { return };
        mirror.request_complete(&[id], None, now, seen);
        let Some(sent) = mirror.next(now, seen) else { return };
        mirror.dispatched(sent, 1);
        let coding = (&b"content-encoding"[..], self.encoding);
        mirror.live_head(id, &Head::of(&[(b":status", b"200"), JSON, coding]), now, seen);
        mirror.live_chunk(id, &self.live, seen);
        mirror.live_complete(id, now, seen);
        mirror.closed(id, seen);
        let (headers, body) = (&status("200"), self.shadow.as_slice());
        let answer = Answer { headers, trailers: &[], body, body_len: body.len() };
        mirror.answer(1, &answer, now, seen);
    }
}

/// What becomes of the second model's pairs in so many seconds beside the first one's.
fn beside(seconds: u64, first: &Answers, second: &Answers) -> Vec<Outcome> {
    let config = r#"[{"name": "a", "models": ["*"], "cluster": "ca"}, {"name": "b", "models": ["*"], "cluster": "cb"}]"#;
    let mut mirror = Mirror::new(Rc::new(shadows(config)));
    let mut seen = Outcomes::default();
    let mut looked = 0;
    let end = seconds * 1000;
    for millis in 0..end {
        let now = (millis + 1) * MS;
        if millis % first.every == 0 {
            first.exchange(0, &mut mirror, now, &mut seen);
        }
        if millis % second.every == 7 {
            second.exchange(1, &mut mirror, now, &mut seen);
        }
        // As ticks come: soon if there is something to do, else some times a second.
        if mirror.needs_tick() || millis - looked >= 100 {
            looked = millis;
            mirror.next(now, &mut seen);
            mirror.catch_up(now, &mut seen);
        }
    }
    // Enough time for those that still wait.
    for millis in end..end + 20_000 {
        mirror.next(millis * MS, &mut seen);
        mirror.catch_up(millis * MS, &mut seen);
    }
    let Outcomes([first, second]) = seen;
    assert!(first.contains(&Outcome::Matched), "{first:?}");
    second
}

#[test]
fn a_shadow_with_long_comparisons_takes_no_turn_of_another() {
    let long = |every, bytes| digits(every, bytes);
    for (what, seconds, first, second) in [
        ("large beside large", 24, long(1000, 240_000), digits(1000, 20_000)),
        ("large at a higher rate", 24, long(333, 240_000), digits(1000, 20_000)),
        ("the same bytes beside large", 24, long(1000, 240_000), digits(1000, 20_000).same()),
        ("gzip beside huge", 60, long(10_000, 1_000_000), digits(1000, 400).gzip()),
        ("huge and the same bytes", 60, long(10_000, 1_000_000), digits(1000, 280_000).same()),
        ("huge beside huge", 120, long(10_000, 1_000_000), digits(20_000, 300_000)),
        ("small beside many small", 12, long(2, 16_000), digits(100, 8_000)),
    ] {
        let outcomes = beside(seconds, &first, &second);
        let missed: Vec<_> =
            outcomes.iter().filter(|outcome| **outcome != Outcome::Matched).collect();
        assert_eq!(
            (missed.len(), outcomes.len() as u64),
            (0, seconds * 1000 / second.every),
            "{what}: {missed:?}"
        );
    }
}
