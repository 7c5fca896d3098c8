//! Ctrl-C, noticed whatever the query does.
//!
//! The runtime's own workers look for signals between two tasks: where all of them compute for long without a pause, nobody
//! looks. So a thread of its own waits for the signal and wakes whoever waits for the query directly.

use std::io;
use std::sync::mpsc::sync_channel;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells when Ctrl-C was pressed. While one of these is there, it kills nobody.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts {
    pressed: watch::Receiver<u64>,
}

impl Interrupts {
    /// Starts to listen. Returns when Ctrl-C is a signal that is waited for.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, pressed) = watch::channel(0);
        let (ready, is_ready) = sync_channel(1);
        let runtime = Builder::new_current_thread().enable_io().build()?;
        std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
            runtime.block_on(async {
                let listening = signal(SignalKind::interrupt());
                let mut interrupt = match listening {
                    Ok(interrupt) => interrupt,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                let _ = ready.send(Ok(()));
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => sender.send_modify(|count| *count += 1),
                        () = sender.closed() => return,
                    }
                }
            });
        })?;
        is_ready.recv().map_err(io::Error::other)??;
        Ok(Self { pressed })
    }

    /// Waits for the next Ctrl-C, from now on.
    pub(crate) fn next(&self) -> impl Future<Output = ()> + use<> {
        let mut pressed = self.pressed.clone();
        pressed.mark_unchanged();
        async move {
            if pressed.changed().await.is_err() {
                // The listener is gone, and Ctrl-C kills again.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn an_interrupt_is_noticed_while_all_workers_compute() {
        let interrupts = Interrupts::listen().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (busy, is_busy) = sync_channel(1);
        let end = Instant::now() + Duration::from_secs(3);
        runtime.spawn(async move {
            busy.send(()).unwrap();
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        });
        is_busy.recv().unwrap();
        let next = interrupts.next();
        // SAFETY: `raise` sends a signal that `listen` has a handler for, and touches no memory of ours.
        assert_eq!(unsafe { libc::raise(libc::SIGINT) }, 0);
        runtime.block_on(next);
        assert!(Instant::now() < end, "noticed only when the worker was free");
        runtime.shutdown_background();
    }
}
