//! The alerts: what a session has to say, typed. Numbers and names are libtorrent's where it has the thing; ours begin at 1000.
