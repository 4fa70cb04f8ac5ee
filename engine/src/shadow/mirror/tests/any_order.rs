//! One outcome for each selected request, by property.

use super::*;

#[derive(Debug, Clone)]
enum Event {
    Begin(usize),
    Chunk(usize, u16),
    Complete(usize),
    LiveHead(usize, &'static str),
    LiveChunk(usize, u16),
    LiveComplete(usize),
    LiveFailed(usize),
    Closed(usize),
    Dispatch,
    Tick,
    DispatchFails,
    Forget,
    Answer(u32, &'static str, u16),
    Wait(u16),
}

fn any_event() -> impl Strategy<Value = Event> {
    let status = || prop::sample::select(vec!["200", "404", "403", "500", "503", ""]);
    let exchange = 0..12usize;
    prop_oneof![
        4 => (0..2usize).prop_map(Event::Begin),
        3 => (exchange.clone(), 0..40u16).prop_map(|(p, n)| Event::Chunk(p, n)),
        5 => exchange.clone().prop_map(Event::Complete),
        4 => (exchange.clone(), status()).prop_map(|(p, s)| Event::LiveHead(p, s)),
        3 => (exchange.clone(), 0..90u16).prop_map(|(p, n)| Event::LiveChunk(p, n)),
        4 => exchange.clone().prop_map(Event::LiveComplete),
        1 => exchange.clone().prop_map(Event::LiveFailed),
        2 => exchange.prop_map(Event::Closed),
        6 => Just(Event::Dispatch),
        3 => Just(Event::Tick),
        1 => Just(Event::DispatchFails),
        1 => Just(Event::Forget),
        5 => (1..30u32, status(), 0..90u16).prop_map(|(t, s, n)| Event::Answer(t, s, n)),
        2 => (0..3000u16).prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn every_selected_request_has_one_outcome(events in prop::collection::vec(any_event(), 0..200)) {
        let mut bench = Bench::new();
        let mut ids: Vec<ExchangeId> = Vec::new();
        for event in events {
            // Recent exchanges are spoken of most.
            let exchange = |n: usize| ids.iter().rev().nth(n).copied();
            let (now, seen) = (bench.now, &mut bench.seen);
            match event {
                Event::Begin(shadow) => ids.extend(bench.begin(shadow, &[])),
                Event::Chunk(p, n) => if let Some(id) = exchange(p) {
                    bench.mirror.request_chunk(id, &vec![b'x'; n.into()], now, seen);
                },
                Event::Complete(p) => if let Some(id) = exchange(p) {
                    bench.mirror.request_complete(&[id], None, now, seen);
                },
                Event::LiveHead(p, status) => if let Some(id) = exchange(p) {
                    let head = Head::of(&[(b":status", status.as_bytes())]);
                    bench.mirror.live_head(id, &head, now, seen);
                },
                Event::LiveChunk(p, n) => if let Some(id) = exchange(p) {
                    bench.mirror.live_chunk(id, &vec![b'x'; n.into()], seen);
                },
                Event::LiveComplete(p) => if let Some(id) = exchange(p) {
                    bench.mirror.live_complete(id, now, seen);
                },
                Event::LiveFailed(p) => if let Some(id) = exchange(p) {
                    bench.mirror.live_failed(id, seen);
                },
                Event::Closed(p) => if let Some(id) = exchange(p) {
                    bench.mirror.closed(id, seen);
                },
                Event::Dispatch => { bench.dispatch(); }
                Event::Tick => bench.tick(),
                Event::DispatchFails => if let Some(id) = bench.mirror.next(now, seen) {
                    bench.mirror.dispatch_failed(id, now, seen);
                },
                Event::Forget => { bench.mirror.next(now, seen); }
                Event::Answer(token, status, n) => {
                    let headers: &[Header<'_>] = &[(b":status", status.as_bytes()), TIME];
                    let headers = if status.is_empty() { &[] } else { headers };
                    bench.answer(token, headers, &vec![b'x'; n.into()]);
                }
                Event::Wait(millis) => bench.now += u64::from(millis) * MS,
            }
            for (i, (in_flight, bytes)) in [(2, 4 << 10), (3, 3 << 10)].into_iter().enumerate() {
                let gauges = bench.mirror.gauges(ShadowId::new(i)).unwrap();
                prop_assert!(gauges.in_flight <= in_flight && gauges.buffered_bytes <= bytes);
            }
            prop_assert!(bench.seen.outcomes.len() <= bench.seen.selected);
        }
        bench.mirror.drain(&mut bench.seen);
        prop_assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
        prop_assert!(bench.is_at_rest());
    }
}
