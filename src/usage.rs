//! What the answer to a request has cost, read while it streams by. Requests whose answer is not read pay for a look at
//! whether it is: the rest stays out of their functions.

use modelgate_engine::pipeline::Facts;
use modelgate_engine::quota::CountId;
use modelgate_engine::telemetry::{CallerLabel, Count, Histogram, ModelLabel};
use modelgate_engine::usage::{AnswerReader, Report};
use proxy_wasm::types::MapType;

use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::metrics::Metrics;
use crate::worker::WorkerState;

const MILLISECOND: u64 = 1_000_000;

/// The answer to a request of which the cost is to be known.
#[derive(Debug)]
pub struct Answer {
    caller: CallerLabel,
    /// What is charged for it.
    counts: Vec<CountId>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its headers have not come, or it is none that is counted.
    None,
    /// It comes.
    Reading(Box<AnswerReader>),
    /// It is over, or not read; with the time to its first token, in nanoseconds.
    Over(Report, Option<u64>),
}

impl Answer {
    /// Of a request that goes on with these facts, if its answer is to be read.
    #[inline(never)]
    pub fn to(worker: &WorkerState, facts: &Facts, counts: &[CountId]) -> Option<Box<Self>> {
        let usage = worker.plan.usage(facts)?;
        let caller = if usage.has_claim() {
            let value = facts.identity.as_deref().and_then(|identity| usage.caller(identity));
            worker.metrics.borrow_mut().caller(value)
        } else {
            CallerLabel::ANY
        };
        let counts = counts.iter().filter(|count| count.has_tokens).cloned().collect();
        Some(Box::new(Self { caller, counts, state: State::None }))
    }

    /// The headers have come. Only answers with 2xx cost anything.
    #[inline(never)]
    pub fn headers(&mut self) {
        let Ok(map) = hostcalls::header_map(MapType::HttpResponseHeaders) else { return };
        let headers = fields(&map);
        let line = |name: &[u8]| headers.iter().find(|(n, _)| *n == name).map_or(&b""[..], |h| h.1);
        if !line(b":status").starts_with(b"2") {
            return;
        }
        self.state = match AnswerReader::new(line(b"content-type"), line(b"content-encoding")) {
            Ok(reader) => State::Reading(Box::new(reader)),
            Err(result) => State::Over(Report::unread(result), None),
        };
    }

    /// Whether there is something to read.
    pub fn reads(&self) -> bool {
        matches!(self.state, State::Reading(_))
    }

    /// Reads a chunk.
    #[inline(never)]
    pub fn chunk(&mut self, chunk: &[u8]) {
        if let State::Reading(reader) = &mut self.state {
            reader.read(chunk, now);
        }
    }

    /// It is over; `is_whole`: the proxy has seen its end. Filter state is written while the stream is there.
    #[inline(never)]
    pub fn end(&mut self, is_whole: bool, worker: &WorkerState) {
        let State::Reading(reader) = &self.state else { return };
        let report = reader.report(is_whole);
        let to_first = report.first.and_then(since_request);
        self.state = State::Over(report, to_first);
        if worker.plan.writes_access_log() {
            write_access_log(&report, to_first);
        }
    }

    /// The stream is over: it is counted for a model.
    #[inline(never)]
    pub fn closed(&mut self, worker: &WorkerState, model: ModelLabel, metrics: &mut Metrics) {
        self.end(false, worker);
        let State::Over(report, to_first) = &self.state else { return };
        if !self.counts.is_empty() {
            worker.plan.charge(&self.counts, report, &worker.counts, now());
        }
        metrics.count(Count::GenAiAnswer(model, report.result));
        for (token_type, count) in report.tokens.iter() {
            metrics.add(Count::GenAiTokens(model, self.caller, token_type), count);
        }
        let times = [
            (Histogram::TimeToFirstToken, *to_first),
            (Histogram::TimePerOutputToken, report.per_event),
        ];
        for (histogram, nanos) in times {
            if let Some(nanos) = nanos {
                metrics.observe_model(model, histogram, nanos / MILLISECOND);
            }
        }
    }
}

/// How long a time is after the arrival of the request's headers.
fn since_request(time: u64) -> Option<u64> {
    let began = u64::try_from(host::property_int("request\0time")?).ok()?;
    Some(time.saturating_sub(began))
}

/// Filter state beside that of the decision: `%FILTER_STATE(wasm.modelgate.output_tokens:PLAIN)%` and so on.
fn write_access_log(report: &Report, to_first: Option<u64>) {
    let counts = report.tokens.iter().map(|(of, count)| (of.filter_state(), u64::from(count)));
    let first = to_first.map(|nanos| ("modelgate.time_to_first_token", nanos / MILLISECOND));
    for (name, value) in counts.chain(first) {
        let _ = hostcalls::set_property(name, value.to_string().as_bytes());
    }
}
