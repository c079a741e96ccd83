//! A worker of the group `websocket_workers`: each event goes as one line of JSON to every client that
//! is connected to its port, as a server of WebSockets would send it in a frame.
//!
//! ```sh
//! cargo run --release --example fan_out -- redis://127.0.0.1:6379     # or set PLANBUS_REDIS
//! ```
//!
//! It serves until its stdin ends (Ctrl-D). A group hands each event to one of its consumers: several
//! such servers, each with clients of its own, need a group each.

use std::{
    env,
    error::Error,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use planbus::redis::{Consumer, Delivery, GroupStart, RedisEndpoint};

/// A client that takes nothing for so long is cut off, so that it does not hold up the others.
const CLIENT_MAX: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).or_else(|| env::var("PLANBUS_REDIS").ok());
    let endpoint = RedisEndpoint::parse(&url.ok_or("give the URL of a Redis")?)?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("listening on {}", listener.local_addr()?);
    let clients = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
    let connected = Arc::clone(&clients);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if client.set_write_timeout(Some(CLIENT_MAX)).is_ok() {
                connected.lock().expect("nobody panics with it").push(client);
                println!("a client is connected");
            }
        }
    });

    // Clients want what happens from now on. Whoever left is forgotten; that is no failure.
    let consumer = Consumer::builder(endpoint).group("websocket_workers").start_at(GroupStart::Now).handler(
        move |delivery: &Delivery| -> planbus::Result<()> {
            let line = delivery.event().to_json()? + "\n";
            let mut clients = clients.lock().expect("nobody panics with it");
            clients.retain_mut(|client| client.write_all(line.as_bytes()).is_ok());
            Ok(())
        },
    )?;

    io::copy(&mut io::stdin(), &mut io::sink())?;
    consumer.stop(Duration::from_secs(10))?;
    println!("sent {} events", consumer.status().counts.handled);
    Ok(())
}
