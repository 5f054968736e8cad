//! The settings of libtorrent 1.1 to 2.1 that do nothing here: accepted, checked for their type, and read back.

use super::check::Check;
use super::descriptor::Descriptor;
use super::value::Value;

const DOC: &str = "Accepted and does nothing here.";

macro_rules! ignored {
    ($($kind:ident: $($name:ident = $default:expr),+;)+) => {
        &[$($(Descriptor {
            name: stringify!($name),
            default: Value::$kind($default),
            check: Check::Any,
            doc: DOC,
            live: true,
            effective: false,
        },)+)+]
    };
}

/// All of them, in no special order.
#[rustfmt::skip]
pub(super) const IGNORED: &[Descriptor] = ignored! {
    Str:
    i2p_hostname = "", mmap_cache = "", webtorrent_stun_server = "";
    Bool:
    allow_partial_disk_writes = true, allow_reordered_disk_operations = true, announce_crypto_support = true,
    apply_filter_to_dht = true, apply_ip_filter_to_trackers = true, auto_sequential = true, ban_web_seeds = true,
    contiguous_recv_buffer = true, dht_aggressive_lookups = true, dht_extended_routing_table = true,
    dht_prefer_verified_node_ids = true,
    dont_count_slow_torrents = true, enable_lsd = true,
    enable_natpmp = true, enable_upnp = true, guided_read_cache = true,
    listen_system_port_fallback = true, low_prio_disk = true, no_atime_storage = true, prefer_udp_trackers = true,
    rate_limit_ip_overhead = true, rate_limit_utp = true, report_redundant_bytes = true,
    report_true_downloaded = true, report_web_seed_downloads = true, seeding_outgoing_connections = true,
    send_redundant_have = true, smooth_connects = true, support_merkle_torrents = true,
    support_share_mode = true, use_disk_cache_pool = true, use_disk_read_ahead = true, use_parole_mode = true,
    use_read_cache = true, use_write_cache = true, allow_i2p_mixed = false, allow_idna = false,
    always_send_user_agent = false, announce_double_nat = false, auto_manage_prefer_seeds = false,
    broadcast_lsd = false, coalesce_reads = false, coalesce_writes = false,
    dht_ignore_dark_internet = false, dht_privacy_lookups = false, disable_hash_checks = false,
    disk_disable_copy_on_write = false, dont_flush_write_cache = false, drop_skipped_requests = false,
    enable_set_file_valid_data = false, ignore_limits_on_local_network = false, ignore_resume_timestamps = false,
    incoming_starts_queued_torrents = false, lazy_bitfields = false, lock_disk_cache = false, lock_files = false,
    no_recheck_incomplete_resume = false, piece_extent_affinity = false,
    prioritize_partial_pieces = false, proxy_send_host_in_connect = false, socks5_udp_send_local_ep = false,
    strict_super_seeding = false, upnp_ignore_nonrouters = false, use_dht_as_fallback = false,
    volatile_read_cache = false;
    Int:
    active_checking = 1, active_dht_limit = 88, active_downloads = 3, active_limit = 500, active_loaded_limit = 0,
    active_lsd_limit = 60, active_seeds = 5, active_tracker_limit = 1600, aio_max = 300, aio_threads = 10,
    auto_manage_interval = 30, auto_manage_startup = 60, auto_scrape_interval = 1800,
    auto_scrape_min_interval = 300, cache_buffer_chunk_size = 0, cache_expiry = 300, cache_size = 1024,
    cache_size_volatile = 256, checking_mem_usage = 256, choking_algorithm = 0, close_file_interval = 0,
    connect_seed_every_n_download = 10, connections_slack = 10, decrease_est_reciprocation_rate = 3,
    default_cache_min_age = 1, default_est_reciprocation_rate = 16000,
    dht_block_timeout = 300, dht_item_lifetime = 0, dht_max_dht_items = 700, dht_max_fail_count = 20,
    dht_max_infohashes_sample_count = 20, dht_max_peers_reply = 100,
    dht_max_torrent_search_reply = 20, dht_sample_infohashes_interval = 21600,
    disk_cache_algorithm = 2, disk_io_read_mode = 0,
    disk_io_write_mode = 0, disk_write_mode = 0, explicit_cache_interval = 30, file_checks_delay_per_block = 0,
    file_pool_size = 40, half_open_limit = 0, hashing_threads = 1, i2p_inbound_length = 3,
    i2p_inbound_length_variance = 0, i2p_inbound_quantity = 3, i2p_outbound_length = 3,
    i2p_outbound_length_variance = 0, i2p_outbound_quantity = 3, i2p_port = 0, inactive_down_rate = 2048,
    inactive_up_rate = 2048, increase_est_reciprocation_rate = 20, initial_picker_threshold = 4,
    local_download_rate_limit = 0, local_service_announce_interval = 300,
    local_upload_rate_limit = 0, max_paused_peerlist_size = 1000, max_peer_recv_buffer_size = 2097152,
    max_queued_disk_bytes = 104857600, max_rejects = 50, max_sparse_regions = 0,
    max_suggest_pieces = 16, max_web_seed_connections = 3, metadata_token_limit = 2500000,
    min_websocket_announce_interval = 60, mixed_mode_algorithm = 1, mmap_file_size_cutoff = 40, network_threads = 0,
    num_optimistic_unchoke_slots = 0, optimistic_disk_retry = 600,
    peer_tos = 4, piece_timeout = 20, predictive_piece_announce = 0,
    rate_choker_initial_threshold = 1024, read_cache_line_size = 32,
    read_job_every = 10, resolver_cache_timeout = 1200, seed_choking_algorithm = 0,
    seed_time_limit = 86400, seed_time_ratio_limit = 700, seeding_piece_quota = 20, send_buffer_low_watermark = 10240,
    send_buffer_watermark_factor = 50, send_not_sent_low_watermark = 16384,
    share_mode_target = 3, share_ratio_limit = 200, ssl_listen = 0, suggest_mode = 0, tick_interval = 500,
    tracker_maximum_response_length = 1048576, udp_socket_buffer_size = 0, udp_tracker_token_expiry = 60,
    upnp_lease_duration = 3600, urlseed_max_request_bytes = 16777216, urlseed_pipeline_size = 5, urlseed_timeout = 20,
    urlseed_wait_retry = 30, utp_connect_timeout = 3000, utp_cwnd_reduce_timer = 100, utp_delayed_ack = 0,
    utp_dynamic_sock_buf = 0, utp_fin_resends = 2, utp_gain_factor = 3000, utp_loss_multiplier = 50,
    utp_min_timeout = 500, utp_num_resends = 3, utp_syn_resends = 2, utp_target_delay = 100,
    web_seed_name_lookup_retry = 1800, webtorrent_connection_timeout = 120, whole_pieces_threshold = 20,
    write_cache_line_size = 16;
};
