//! One worker of a proxy, as far as the module asks for it: the functions of proxy-wasm ABI 0.2.1
//! around an interpreter that counts what it does.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use wasmi::{Caller, Config, Engine, Error, Extern, Instance, Linker, Memory, Module, Store, Val};
use wasmi::{TypedFunc, WasmParams, WasmResults};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;

const MILLISECOND: u64 = 1_000_000;

/// `proxy_action_t`.
const CONTINUE: u32 = 0;

/// `proxy_buffer_type_t` and `proxy_header_map_type_t`.
const CALLOUT_BODY: u32 = 4;
const CALLOUT_HEADERS: u32 = 6;

/// What is asked for and told in host calls.
#[derive(Debug, Default)]
struct Proxy {
    configuration: Vec<u8>,
    headers: Vec<(String, String)>,
    now: u64,
    /// What became of the last request.
    code: u32,
    /// The code of a local reply.
    answered: Option<u32>,
    /// What a function returns in place of what it would do.
    faults: HashMap<&'static str, u32>,
    /// Callouts that were sent, and the token that each of them gets.
    callouts: usize,
    token: u32,
    /// The answer to a callout.
    callout: (Vec<(String, String)>, Vec<u8>),
    log: Vec<String>,
    metrics: u32,
    /// The timer's period in milliseconds, and when it ticks next, in nanoseconds.
    period: u32,
    ticks_at: u64,
    /// Paused requests that went on.
    resumed: usize,
}

/// A worker with the module.
#[derive(Debug)]
pub struct Worker {
    store: Store<Proxy>,
    instance: Instance,
    memory: Memory,
    contexts: u32,
}

/// What became of a request, and what that took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The code of the answer; 200 where the request goes on, 0 where it is held.
    pub code: u32,
    /// Instructions, as the interpreter counts them.
    pub instructions: u64,
}

impl Worker {
    /// Starts the module, without a configuration.
    pub fn start(module: &[u8]) -> Result<Self> {
        let engine = Engine::new(Config::default().consume_fuel(true));
        let module = Module::new(&engine, module)?;
        let mut store = Store::new(&engine, Proxy::default());
        store.set_fuel(u64::MAX)?;
        let instance = linker(&engine, &module)?.instantiate_and_start(&mut store, &module)?;
        let memory = instance.get_memory(&store, "memory").context("the module has no memory")?;
        let mut worker = Self { store, instance, memory, contexts: 0 };
        worker.call::<_, ()>("_initialize", ())?;
        Ok(worker)
    }

    /// Configures a new root context, beside those that are there.
    pub fn configure(&mut self, configuration: String) -> Result<u32> {
        let root = self.create(0)?;
        let size = u32::try_from(configuration.len())?;
        self.store.data_mut().configuration = configuration.into_bytes();
        let taken: u32 = self.call("proxy_on_configure", (root, size))?;
        let log = std::mem::take(&mut self.store.data_mut().log);
        ensure!(taken == 1 && log.is_empty(), "the configuration is refused: {log:?}");
        Ok(root)
    }

    /// Begins a request under the configuration of a root context.
    pub fn begin(&mut self, root: u32, headers: Vec<(String, String)>) -> Result<u32> {
        let stream = self.create(root)?;
        let count = u32::try_from(headers.len())?;
        let proxy = self.store.data_mut();
        (proxy.headers, proxy.answered) = (headers, None);
        // All there is of the request.
        let action: u32 = self.call("proxy_on_request_headers", (stream, count, 1))?;
        let proxy = self.store.data_mut();
        proxy.code = proxy.answered.unwrap_or(if action == CONTINUE { 200 } else { 0 });
        Ok(stream)
    }

    /// A request from its beginning to its end.
    pub fn request(&mut self, root: u32, headers: Vec<(String, String)>) -> Result<Decided> {
        let before = self.store.get_fuel()?;
        let stream = self.begin(root, headers)?;
        let code = self.store.data().code;
        self.call::<_, ()>("proxy_on_log", stream)?;
        self.delete(stream)?;
        Ok(Decided { code, instructions: before - self.store.get_fuel()? })
    }

    /// A tick of a root context, a second after the one before.
    pub fn tick(&mut self, root: u32) -> Result<()> {
        self.store.data_mut().now += 1_000_000_000;
        self.call("proxy_on_tick", root)
    }

    /// Lets time pass, and its timer tick as often as it was asked to. Returns how many ticks there were.
    pub fn pass(&mut self, root: u32, millis: u64) -> Result<usize> {
        let until = self.store.data().now + millis * MILLISECOND;
        let mut ticks = 0;
        while self.store.data().period != 0 && self.store.data().ticks_at <= until {
            let proxy = self.store.data_mut();
            proxy.now = proxy.now.max(proxy.ticks_at);
            let before = proxy.ticks_at;
            self.call::<_, ()>("proxy_on_tick", root)?;
            ticks += 1;
            let proxy = self.store.data_mut();
            if proxy.ticks_at == before {
                proxy.ticks_at += u64::from(proxy.period) * MILLISECOND;
            }
        }
        self.store.data_mut().now = until;
        Ok(ticks)
    }

    /// Lets a function of the host return this status from now on, and do nothing.
    pub fn fail(&mut self, function: &'static str, status: u32) {
        self.store.data_mut().faults.insert(function, status);
    }

    /// The token that callouts get from now on.
    pub fn set_token(&mut self, token: u32) {
        self.store.data_mut().token = token;
    }

    /// How many callouts it has sent.
    pub fn callouts(&self) -> usize {
        self.store.data().callouts
    }

    /// Answers a callout with 200 and this body.
    pub fn answer(&mut self, root: u32, token: u32, body: &str) -> Result<()> {
        let headers = vec![(":status".to_owned(), "200".to_owned())];
        self.store.data_mut().callout = (headers, body.into());
        let size = u32::try_from(body.len())?;
        self.call("proxy_on_http_call_response", (root, token, 1, size, 0))
    }

    /// How many paused requests went on.
    pub fn resumed(&self) -> usize {
        self.store.data().resumed
    }

    /// The end of a context.
    pub fn delete(&mut self, context: u32) -> Result<()> {
        self.call("proxy_on_delete", context)
    }

    /// Sets the clock, in seconds since the Unix epoch.
    pub fn set_clock(&mut self, seconds: u64) {
        self.store.data_mut().now = seconds * 1_000_000_000;
    }

    /// The code of the last local reply since a request began.
    pub fn answered(&self) -> Option<u32> {
        self.store.data().answered
    }

    /// A header of the request as the proxy has it now.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = &self.store.data().headers;
        headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The clock, in seconds since the Unix epoch.
    pub fn clock(&self) -> u64 {
        self.store.data().now / 1_000_000_000
    }

    /// Bytes of memory that the module has, which is the most that it ever had.
    pub fn memory(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// What it logged since it was configured.
    pub fn log(&self) -> &[String] {
        &self.store.data().log
    }

    fn create(&mut self, parent: u32) -> Result<u32> {
        self.contexts += 1;
        self.call::<_, ()>("proxy_on_context_create", (self.contexts, parent))?;
        Ok(self.contexts)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> Result<R> {
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&self.store, name)?;
        let result = function.call(&mut self.store, parameters);
        result.with_context(|| format!("{name}: {:?}", self.store.data().log))
    }
}

/// The functions that the module imports. What it asks of the connection is not known here, callouts
/// are answered by the test, and signatures it has to verify itself.
fn linker(engine: &Engine, module: &Module) -> Result<Linker<Proxy>> {
    let mut linker = Linker::new(engine);
    linker.allow_shadowing(true);
    for import in module.imports() {
        let status = match import.name() {
            "proxy_get_property" | "proxy_call_foreign_function" => NOT_FOUND,
            _ => OK,
        };
        let name = import.name().to_owned();
        let function = import.ty().func().context("the module imports more than functions")?;
        let answer = move |proxy: Caller<'_, Proxy>, _: &[Val], results: &mut [Val]| {
            let status = proxy.data().faults.get(&*name).copied().unwrap_or(status);
            results.fill(Val::I32(status.cast_signed()));
            Ok(())
        };
        linker.func_new(import.module(), import.name(), function.clone(), answer)?;
    }
    // Code, details, body, headers, gRPC status.
    let answer = |mut proxy: Asking<'_>,
                  code: u32,
                  _: u32,
                  _: u32,
                  _: u32,
                  _: u32,
                  _: u32,
                  _: u32,
                  _: i32| {
        if let Some(status) = proxy.data().faults.get("proxy_send_local_response") {
            return *status;
        }
        proxy.data_mut().answered = Some(code);
        OK
    };
    // Cluster, headers, body, trailers, timeout, token.
    let call = |mut proxy: Asking<'_>,
                _: u32,
                _: u32,
                _: u32,
                _: u32,
                _: u32,
                _: u32,
                _: u32,
                _: u32,
                _: u32,
                at: u32| {
        if let Some(status) = proxy.data().faults.get("proxy_http_call") {
            return Ok(*status);
        }
        proxy.data_mut().callouts += 1;
        let token = proxy.data().token;
        write(&mut proxy, at, &token.to_le_bytes())
    };
    linker
        .func_wrap("env", "proxy_log", log)?
        .func_wrap("env", "proxy_get_current_time_nanoseconds", time)?
        .func_wrap("env", "proxy_get_buffer_bytes", buffer)?
        .func_wrap("env", "proxy_get_header_map_pairs", headers)?
        .func_wrap("env", "proxy_send_local_response", answer)?
        .func_wrap("env", "proxy_http_call", call)?
        .func_wrap("env", "proxy_replace_header_map_value", replace)?
        .func_wrap("env", "proxy_set_tick_period_milliseconds", set_tick_period)?
        .func_wrap("env", "proxy_continue_stream", resume)?
        .func_wrap("env", "proxy_define_metric", define_metric)?;
    Ok(linker)
}

type Asking<'a> = Caller<'a, Proxy>;
type Status = Result<u32, Error>;

fn log(mut proxy: Asking<'_>, _level: u32, text: u32, size: u32) -> Status {
    let line = self::text(&proxy, text, size)?;
    proxy.data_mut().log.push(line);
    Ok(OK)
}

fn time(mut proxy: Asking<'_>, at: u32) -> Status {
    let now = proxy.data().now;
    write(&mut proxy, at, &now.to_le_bytes())
}

/// The configuration, or the body of a callout's answer: requests have none.
fn buffer(mut proxy: Asking<'_>, which: u32, _: u32, _: u32, data: u32, size: u32) -> Status {
    let bytes = match which {
        CALLOUT_BODY => proxy.data().callout.1.clone(),
        _ => std::mem::take(&mut proxy.data_mut().configuration),
    };
    give(&mut proxy, &bytes, data, size)
}

fn headers(mut proxy: Asking<'_>, map: u32, data: u32, size: u32) -> Status {
    if let Some(status) = proxy.data().faults.get("proxy_get_header_map_pairs") {
        return Ok(*status);
    }
    let pairs = match map {
        CALLOUT_HEADERS => pairs(&proxy.data().callout.0),
        _ => pairs(&proxy.data().headers),
    };
    give(&mut proxy, &pairs, data, size)
}

/// Replaces a header of the request.
fn replace(mut proxy: Asking<'_>, _map: u32, name: u32, len: u32, value: u32, size: u32) -> Status {
    if let Some(status) = proxy.data().faults.get("proxy_replace_header_map_value") {
        return Ok(*status);
    }
    let (name, value) = (text(&proxy, name, len)?, text(&proxy, value, size)?);
    let headers = &mut proxy.data_mut().headers;
    headers.retain(|(other, _)| *other != name);
    headers.push((name, value));
    Ok(OK)
}

fn text(proxy: &Asking<'_>, at: u32, size: u32) -> Result<String, Error> {
    let mut bytes = vec![0; place(size)];
    memory(proxy)?.read(proxy, place(at), &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn resume(mut proxy: Asking<'_>, _stream: u32) -> u32 {
    proxy.data_mut().resumed += 1;
    OK
}

/// As Envoy does it: the timer begins anew.
fn set_tick_period(mut proxy: Asking<'_>, period: u32) -> u32 {
    let proxy = proxy.data_mut();
    (proxy.period, proxy.ticks_at) = (period, proxy.now + u64::from(period) * MILLISECOND);
    OK
}

fn define_metric(mut proxy: Asking<'_>, _kind: u32, _name: u32, _: u32, id: u32) -> Status {
    proxy.data_mut().metrics += 1;
    let metric = proxy.data().metrics;
    write(&mut proxy, id, &metric.to_le_bytes())
}

/// A header map as proxies serialize it.
fn pairs(lines: &[(String, String)]) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = word(lines.len()).to_vec();
    for (name, value) in lines {
        bytes.extend(word(name.len()));
        bytes.extend(word(value.len()));
    }
    for text in lines.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

fn place(address: u32) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX)
}

fn memory(proxy: &Asking<'_>) -> Result<Memory, Error> {
    let memory = proxy.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| Error::new("the module has no memory"))
}

fn write(proxy: &mut Asking<'_>, at: u32, bytes: &[u8]) -> Status {
    memory(proxy)?.write(proxy, place(at), bytes)?;
    Ok(OK)
}

/// Hands bytes over in memory that the module allocates for them.
fn give(proxy: &mut Asking<'_>, bytes: &[u8], data: u32, size: u32) -> Status {
    let malloc = proxy.get_export("malloc").and_then(Extern::into_func);
    let malloc = malloc.ok_or_else(|| Error::new("the module has no malloc"))?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let at = malloc.typed::<u32, u32>(&*proxy)?.call(&mut *proxy, length)?;
    write(proxy, at, bytes)?;
    write(proxy, data, &at.to_le_bytes())?;
    write(proxy, size, &length.to_le_bytes())
}
