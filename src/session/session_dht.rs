//! A session's DHT: the node that runs, or what the next one begins with.

use std::sync::Arc;

use crate::discovery::dht::Dht;
use crate::discovery::dht::state::with_another_id;
use crate::net::egress::Egress;

/// Nodes remembered while there is no DHT.
const MAX_EARLY_NODES: usize = 100;

#[derive(Default)]
pub struct SessionDht {
    running: Option<Arc<dyn Dht>>,
    /// The way that its packets go.
    egress: Option<Arc<Egress>>,
    /// What was known when none ran.
    state: Vec<u8>,
    /// Nodes that were named while none ran.
    nodes: Vec<(String, u16)>,
}

impl SessionDht {
    pub fn running(&self) -> Option<Arc<dyn Dht>> {
        self.running.clone()
    }

    /// The next one begins with this.
    pub fn restore(&mut self, state: Vec<u8>) {
        self.state = state;
    }

    /// Ids and nodes, as of the last one that ran.
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// Ids and nodes of now.
    pub fn save(&self) -> Vec<u8> {
        self.running.as_ref().map_or_else(|| self.state.clone(), |dht| dht.save_state())
    }

    /// This one runs. It hears of the nodes that were named before.
    pub fn run(&mut self, dht: Arc<dyn Dht>, egress: Arc<Egress>) {
        self.nodes.drain(..).for_each(|(host, port)| dht.add_node(&host, port));
        (self.running, self.egress) = (Some(dht), Some(egress));
    }

    /// Was the one that ran by another way out?
    pub fn goes_elsewhere(&self, egress: &Arc<Egress>) -> bool {
        self.egress.as_ref().is_some_and(|way| !Arc::ptr_eq(way, egress))
    }

    /// Ends the node, if there is one. What it knew is kept.
    pub fn stop(&mut self) {
        if let Some(dht) = self.running.take() {
            dht.stop();
            self.state = dht.save_state();
        }
    }

    /// Whoever goes by another way is not to be known again.
    pub fn take_another_id(&mut self, rng: &mut fastrand::Rng) {
        self.state = with_another_id(&self.state, rng);
        self.egress = None;
    }

    pub fn add_node(&mut self, host: &str, port: u16) {
        match &self.running {
            Some(running) => running.add_node(host, port),
            None if self.nodes.len() < MAX_EARLY_NODES => self.nodes.push((host.to_owned(), port)),
            None => {}
        }
    }
}
