//! Where a copy goes from each state, by the table of the module.

use super::super::super::exchange::CopyState;
use super::*;

const STATES: [&str; 6] = ["Receiving", "Held", "Queued", "HandedOut", "InFlight", "Done"];

/// An exchange whose copy is there, and whose live answer is not complete.
fn at(state: &str) -> (Bench, ExchangeId) {
    let mut bench = Bench::new();
    let id = bench.begin(0, &[]).unwrap();
    bench.mirror.request_chunk(id, b"body", bench.now, &mut bench.seen);
    if state == "Receiving" {
        return (bench, id);
    }
    // The same pods by another name.
    let live = (state == "Held").then_some(&b"outbound|80||ca"[..]);
    bench.mirror.request_complete(&[id], live, bench.now, &mut bench.seen);
    match state {
        "HandedOut" => {
            bench.mirror.next(bench.now, &mut bench.seen).unwrap();
        }
        "InFlight" | "Done" => {
            let token = bench.dispatch().unwrap();
            if state == "Done" {
                bench.answer(token, &status("200"), b"[1]");
            }
        }
        _ => {}
    }
    (bench, id)
}

fn happens(event: &str, bench: &mut Bench, id: ExchangeId) {
    let Bench { mirror, seen, now, .. } = bench;
    match event {
        "the request is complete" => mirror.request_complete(&[id], None, *now, seen),
        "the live answer is complete" => {
            mirror.live_head(id, &Head::of(&status("200")), *now, seen);
            mirror.live_chunk(id, b"[1]", seen);
            mirror.live_complete(id, *now, seen);
            mirror.catch_up(*now, seen);
        }
        "the live model fails" => mirror.live_failed(id, seen),
        "the client goes away" => mirror.closed(id, seen),
        "it may leave" => {
            mirror.next(*now, seen);
        }
        "it is sent" => mirror.dispatched(id, 7),
        "it cannot be sent" => mirror.dispatch_failed(id, *now, seen),
        "the shadow answers" => bench.answer(1, &status("200"), b"[1]"),
        "a minute passes" => {
            *now += 60_000 * MS;
            mirror.next(*now, seen);
        }
        other => panic!("nobody knows how {other} happens"),
    }
}

fn state(bench: &Bench, id: ExchangeId) -> Option<&'static str> {
    Some(match &bench.mirror.exchanges.get(id)?.copy {
        CopyState::Receiving(_) => "Receiving",
        CopyState::Held(_) => "Held",
        CopyState::Queued(_) => "Queued",
        CopyState::HandedOut(..) => "HandedOut",
        CopyState::InFlight { .. } => "InFlight",
        CopyState::Done => "Done",
    })
}

#[test]
fn a_copy_goes_where_the_table_says() {
    let table: Vec<&str> = include_str!("../../mirror.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .skip_while(|line| !line.starts_with("what happens"))
        .collect();
    let cells = |line: &str| -> Vec<String> {
        line.trim_end_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let (head, rows) = table.split_first().unwrap();
    assert_eq!(cells(head)[1..], STATES);
    assert_eq!(rows.len(), 9);
    for row in rows {
        let row = cells(row);
        for (from, expected) in STATES.iter().zip(&row[1..]) {
            let (mut bench, id) = at(from);
            assert_eq!((state(&bench, id), bench.seen.outcomes.len()), (Some(*from), 0));
            happens(&row[0], &mut bench, id);
            let outcome = bench.seen.outcomes.first().map(|outcome| outcome.as_str());
            let found: Vec<&str> = state(&bench, id).into_iter().chain(outcome).collect();
            let expected = if expected == "=" { (*from).to_owned() } else { expected.clone() };
            assert_eq!(found.join(", "), expected, "{from}: {}", row[0]);
            bench.mirror.drain(&mut bench.seen);
            assert_eq!(bench.seen.outcomes.len(), 1, "{from}: {}", row[0]);
        }
    }
}
