//! Who there is: the list of peers, who is dialled, kept, unchoked, banned.

pub mod choker;
pub mod dial;
pub mod external_ip;
pub mod peer_list;
pub mod pex;
pub mod shortage;
pub mod smart_ban;
pub mod turnover;
