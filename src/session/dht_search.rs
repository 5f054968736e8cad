//! DHT search.
use std::sync::Arc;
use super::driver::Driver;
use super::inner::Inner;
use crate::error::Result;
#[derive(Debug, Default)]
pub struct DhtSearch {}
impl DhtSearch {
    pub fn update(&self, _driver: &Arc<Driver>) {}
    pub fn stop(&self) {}
    pub fn restart(&self) {}
}
pub fn start(_inner: &Arc<Inner>, _state: Vec<u8>) {}
pub fn settings_changed(_inner: &Arc<Inner>) {}
pub fn save(inner: &Inner) -> Vec<u8> { inner.dht.lock().as_ref().map(|d| d.save_state()).unwrap_or_default() }
pub fn add_node(_inner: &Arc<Inner>, _host: String, _port: u16) -> Result<()> { Ok(()) }
