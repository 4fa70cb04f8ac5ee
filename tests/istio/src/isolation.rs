//! Linux namespaces for the whole suite: a network with nothing but `lo`, so that every component has its usual
//! ports and none can be reached from outside; processes that end when the first of them does, however it does; and
//! mounts of its own, so that what is written besides logs is gone as well.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::mount::{MountFlags, mount, mount_bind};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};
use rustix::process::{Signal, set_parent_process_death_signal};

/// Set for the program that runs inside.
const INSIDE: &str = "MODELGATE_ISOLATED";
const AS_ROOT: &str = "root";
const AS_USER: &str = "user";

/// The agent keeps fetched modules in `/var/lib/istio/data`, which cannot be moved and which it does not make.
const HIDDEN: &str = "/var/lib";
const MODULES: &str = "/var/lib/istio/data";

/// A folder in memory, only for the suite.
const STATE: &str = "/var/lib/modelgate";

/// Names are looked up in this file before they are asked for, and there is nobody to ask.
const HOSTS: &str = "/etc/hosts";

/// Where the issuer of tokens is that the shipped resources name: a server on the internet, as far as the mesh knows.
pub const ISSUER: (&str, Ipv4Addr) = ("idp.example.com", Ipv4Addr::new(127, 0, 2, 1));

/// An address for documentation (RFC 5737): what a program inside finds as the pod's own.
const POD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

/// Starts this program again inside new namespaces, or prepares them if it is inside already: then the folder for
/// state is returned, and this process is the first one (pid 1).
///
/// # Errors
/// Where the system forbids namespaces, with what would allow them.
pub fn enter() -> Result<PathBuf> {
    if std::env::var_os(INSIDE).is_none() {
        return Err(leave_for_inside()?);
    }
    ensure!(std::process::id() == 1, "{INSIDE} is set, but this is not the first process");
    raise_loopback().context("raising lo")?;
    let here = std::env::current_exe()?;
    ensure!(!here.starts_with(HIDDEN), "a checkout below {HIDDEN} would be hidden by the suite");
    mount("tmpfs", HIDDEN, "tmpfs", MountFlags::empty(), None).context("mounting a tmpfs")?;
    for folder in [MODULES, STATE] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {folder}"))?;
    }
    name_the_issuer().with_context(|| format!("adding to {HOSTS}"))?;
    Ok(STATE.into())
}

/// A file of names with one more, in place of the machine's: inside only.
fn name_the_issuer() -> Result<()> {
    let own = Path::new(STATE).join("hosts");
    let (name, address) = ISSUER;
    let names = std::fs::read_to_string(HOSTS).unwrap_or_else(|_| "127.0.0.1 localhost\n".into());
    std::fs::write(&own, format!("{}\n{address} {name}\n", names.trim_end()))?;
    Ok(mount_bind(&own, HOSTS)?)
}

/// Returns only if it fails.
fn leave_for_inside() -> Result<anyhow::Error> {
    let wanted: [&str; 5] = ["--net", "--pid", "--mount", "--fork", "--kill-child=KILL"];
    let user = ["--user", "--map-root-user"];
    let works = |options: &[&str]| {
        let mut probe = Command::new("unshare");
        probe.args(options).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    let mut options = wanted.to_vec();
    let mut inside = AS_ROOT;
    if !works(&options) {
        options.extend(user);
        inside = AS_USER;
        if !works(&options) {
            bail!(
                "`unshare {}` fails: the suite needs util-linux, and either root or unprivileged user namespaces \
                 (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)",
                options.join(" ")
            );
        }
    }
    // When cargo is killed, so is `unshare`, with it the first process, and with that one all others.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let error = Command::new("unshare")
        .args(options)
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, inside)
        .exec();
    Ok(anyhow::Error::new(error).context("unshare"))
}

/// What `nsenter` needs to bring another process here.
///
/// # Errors
/// If the system does not tell.
pub fn nsenter_options() -> Result<Vec<String>> {
    // The system's own /proc, mounted outside: it knows this process by its outer id.
    let outside = std::fs::read_link("/proc/self").context("reading /proc/self")?;
    let mut options = vec![format!("--target={}", outside.display())];
    let inside = std::env::var(INSIDE).unwrap_or_default();
    if inside == AS_USER {
        options.extend(["--user", "--preserve-credentials"].map(str::to_owned));
    }
    options.extend(["--net", "--mount"].map(str::to_owned));
    Ok(options)
}

/// Raises `lo` and gives it an address that is no loopback address, on machines without `ip` too (rtnetlink(7)).
/// Nothing listens on that address: programs that look for the pod's own want to find one.
fn raise_loopback() -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const RTM_NEWADDR: u16 = 20;
    const IFF_UP: u32 = 1;
    // A new network namespace numbers its only interface 1.
    const LO: u32 = 1;
    const AF_INET: u8 = 2;
    const WHOLE: u8 = 32;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let mut link = vec![0; 4];
    for part in [LO, IFF_UP, IFF_UP] {
        link.extend(part.to_ne_bytes());
    }
    ask_kernel(RTM_NEWLINK, &link).context("up")?;
    let mut address = vec![AF_INET, WHOLE, 0, 0];
    address.extend(LO.to_ne_bytes());
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        address.extend(8_u16.to_ne_bytes());
        address.extend(kind.to_ne_bytes());
        address.extend(POD.octets());
    }
    ask_kernel(RTM_NEWADDR, &address).context("address")
}

/// Sends one request of rtnetlink, and waits until it is carried out.
fn ask_kernel(kind: u16, payload: &[u8]) -> Result<()> {
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const NLM_F_CREATE: u16 = 0x400;
    const NLMSG_ERROR: u16 = 2;
    let length = 16 + payload.len();
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length)?.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST_ACK | NLM_F_CREATE).to_ne_bytes());
    // Sequence and port.
    message.extend([0; 8]);
    message.extend(payload);
    let kernel = SocketAddrNetlink::new(0, 0);
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    sendto(&socket, &message, SendFlags::empty(), &kernel)?;
    let mut answer = [0; 256];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let kind = answer.get(4..6).context("no answer")?;
    let code = answer.get(16..20).filter(|_| length >= 20).context("a short answer")?;
    ensure!(kind == NLMSG_ERROR.to_ne_bytes() && code == [0; 4], "the kernel refuses it: {code:?}");
    Ok(())
}

/// Ends everything when the user has had enough: the first process of a namespace ignores signals that it does not
/// handle.
pub async fn end_on_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let handlers =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = handlers else { return };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    eprintln!("interrupted: everything that was started ends now");
    std::process::exit(130);
}

/// The way from `folder` to `path`, for tools that take no absolute ones.
pub fn relative(folder: &Path, path: &Path) -> PathBuf {
    let up = folder.components().skip(1).map(|_| OsStr::new(".."));
    up.chain(path.components().skip(1).map(|part| part.as_os_str())).collect()
}
