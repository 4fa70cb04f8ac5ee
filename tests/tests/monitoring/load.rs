//! Clients that never stop asking.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use testbed::client::Request;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Twenty requests a second.
const EVERY: Duration = Duration::from_millis(50);

/// Requests in turn, over one connection, until it is dropped.
pub struct Load {
    requests: Arc<Mutex<Vec<Request>>>,
    asking: JoinHandle<()>,
}

impl Load {
    /// Begins.
    pub fn start(to: SocketAddr, requests: Vec<Request>) -> Self {
        let requests = Arc::new(Mutex::new(requests));
        let asking = tokio::spawn(ask(to, Arc::clone(&requests)));
        Self { requests, asking }
    }

    /// Goes on with other requests.
    pub fn becomes(&self, requests: Vec<Request>) {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner) = requests;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

async fn ask(to: SocketAddr, requests: Arc<Mutex<Vec<Request>>>) {
    let mut interval = interval(EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    for turn in 0.. {
        interval.tick().await;
        let request = {
            let requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.get(turn % requests.len().max(1)).cloned()
        };
        let Some(request) = request else { continue };
        if connection.is_none() {
            connection = request.connect(to).await.ok();
        }
        let Some(open) = &mut connection else { continue };
        // Answers of 400 close the connection, and a gateway may be restarting.
        let answer = tokio::time::timeout(Duration::from_secs(5), open.send(&request)).await;
        let stays = answer.is_ok_and(|answer| {
            answer.is_ok_and(|answer| answer.header("connection") != Some("close"))
        });
        if !stays {
            connection = None;
        }
    }
}
