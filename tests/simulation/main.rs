//! A simulated swarm on virtual time: real engines at both ends of modelled links, scripted peers that misbehave, model
//! disks, players. Everything follows from one seed. `ET_SIM_SEED=n` replays one with a trace.

mod clock;
mod content;
mod driver;
mod flood;
mod focused;
mod gauge;
mod link;
mod manner;
mod node;
mod scenario;
mod script;
mod seeds;
mod shell;
mod speed;
mod streaming;
mod transit;
mod world;
mod zeros;
