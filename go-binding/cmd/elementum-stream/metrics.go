package main

import (
	"fmt"
	"net/http"
	"strings"

	"elementum.example/torrent"
)

// metrics is for Prometheus, in its text format.
func (s *service) metrics(w http.ResponseWriter, r *http.Request) {
	stats, err := s.session.Stats()
	if err != nil {
		fail(w, r, err)
		return
	}
	statuses, err := s.session.Statuses()
	if err != nil {
		fail(w, r, err)
		return
	}
	var text exposition
	text.single("build_info", "gauge", "Version of the library, as a label.", 1, "version", torrent.Version())
	text.single("uptime_seconds", "gauge", "Seconds since the session opened.", stats.Uptime.Seconds())
	text.single("torrents", "gauge", "Torrents of the session.", float64(stats.Torrents))
	text.single("readers", "gauge", "Readers that are open.", float64(stats.Readers))
	text.single("peers", "gauge", "Peers whose handshake is done.", float64(stats.Peers))
	text.single("half_open_connections", "gauge", "Dials under way.", float64(stats.HalfOpen))
	text.single("dht_nodes", "gauge", "Nodes that the DHT knows.", float64(stats.DHTNodes))
	text.single("download_bytes_total", "counter", "Bytes received, protocol and payload.", float64(stats.Download))
	text.single("upload_bytes_total", "counter", "Bytes sent, protocol and payload.", float64(stats.Upload))
	text.single("payload_download_bytes_total", "counter", "Bytes of pieces received.", float64(stats.PayloadDownload))
	text.single("payload_upload_bytes_total", "counter", "Bytes of pieces sent.", float64(stats.PayloadUpload))
	text.single("download_rate_bytes_per_second", "gauge", "Bytes of pieces received a second, now.", float64(stats.PayloadDownloadRate))
	text.single("upload_rate_bytes_per_second", "gauge", "Bytes of pieces sent a second, now.", float64(stats.PayloadUploadRate))
	text.single("memory_limit_bytes", "gauge", "Bytes of payload that may be in memory.", float64(stats.MemoryLimit))
	text.single("memory_charged_bytes", "gauge", "Bytes of payload that are in memory.", float64(stats.MemoryCharged))
	text.single("memory_peak_bytes", "gauge", "The most bytes of payload that ever were in memory.", float64(stats.MemoryPeak))
	text.single("hash_failures_total", "counter", "Pieces that came in wrong.", float64(stats.HashFailures))
	text.single("redundant_bytes_total", "counter", "Bytes that came in although they were there.", float64(stats.RedundantBytes))
	text.single("alerts_posted_total", "counter", "Alerts.", float64(stats.AlertsPosted))
	text.single("alerts_dropped_total", "counter", "Alerts that a full queue had no room for.", float64(stats.AlertsDropped))
	text.single("http_streams", "gauge", "Streams that are open.", float64(s.streams.count()))
	text.single("http_streams_total", "counter", "Streams that were opened.", float64(s.streams.total.Load()))
	text.single("http_stream_bytes_total", "counter", "Bytes read for streams.", float64(s.streams.sent.Load()))
	// To look at a stream adds up what came for it for nothing.
	for _, content := range s.streams.snapshot() {
		_, _ = content.status()
	}
	text.single("http_stream_wasted_bytes_total", "counter", "Bytes that came for streams after a seek had taken them back.", float64(s.streams.wasted.Load()))
	text.single("http_stream_duplicate_bytes_total", "counter", "Bytes that came for streams twice.", float64(s.streams.duplicate.Load()))
	text.single("http_event_listeners", "gauge", "Listeners to events.", float64(s.hub.count()))
	s.torrentMetrics(&text, statuses)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	serveBytes(w, r, []byte(text.String()))
}

func (s *service) torrentMetrics(text *exposition, statuses []torrent.TorrentStatus) {
	names := make([]string, len(statuses))
	evicted := make([]float64, len(statuses))
	refetched := make([]float64, len(statuses))
	for i, status := range statuses {
		// One that was removed since keeps its numbers, without a name.
		t := s.session.Torrent(status.StorageIndex)
		name, _ := t.Name()
		names[i] = shown(name)
		if storage, err := t.StorageStats(); err == nil {
			evicted[i], refetched[i] = float64(storage.EvictedPieces), float64(storage.RefetchedPieces)
		}
	}
	for _, metric := range []struct {
		name, kind, help string
		value            func(i int, status *torrent.TorrentStatus) float64
	}{
		{"torrent_progress_ratio", "gauge", "Of what is wanted, 0 to 1.",
			func(_ int, t *torrent.TorrentStatus) float64 { return t.Progress }},
		{"torrent_size_bytes", "gauge", "Bytes of all files; 0 without metadata.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.Total) }},
		{"torrent_done_bytes", "gauge", "Bytes of verified pieces that are there.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.Done) }},
		{"torrent_peers", "gauge", "Peers whose handshake is done.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.Peers) }},
		{"torrent_seeds", "gauge", "Peers that have everything.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.Seeds) }},
		{"torrent_readers", "gauge", "Readers that are open.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.Readers) }},
		{"torrent_paused", "gauge", "1 where it is paused.",
			func(_ int, t *torrent.TorrentStatus) float64 { return boolMetric(t.Paused) }},
		{"torrent_error", "gauge", "1 where an error stopped it.",
			func(_ int, t *torrent.TorrentStatus) float64 { return boolMetric(t.ErrCode != 0) }},
		{"torrent_payload_download_bytes_total", "counter", "Bytes of pieces received.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.PayloadDownload) }},
		{"torrent_payload_upload_bytes_total", "counter", "Bytes of pieces sent.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.PayloadUpload) }},
		{"torrent_download_rate_bytes_per_second", "gauge", "Bytes of pieces received a second, now.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.PayloadDownloadRate) }},
		{"torrent_upload_rate_bytes_per_second", "gauge", "Bytes of pieces sent a second, now.",
			func(_ int, t *torrent.TorrentStatus) float64 { return float64(t.PayloadUploadRate) }},
		{"torrent_evicted_pieces_total", "counter", "Pieces that left memory.",
			func(i int, _ *torrent.TorrentStatus) float64 { return evicted[i] }},
		{"torrent_refetched_pieces_total", "counter", "Pieces that were fetched again after they left memory.",
			func(i int, _ *torrent.TorrentStatus) float64 { return refetched[i] }},
	} {
		text.family(metric.name, metric.kind, metric.help)
		for i := range statuses {
			text.sample(metric.name, metric.value(i, &statuses[i]), "info_hash", statuses[i].InfoHashes.String(), "name", names[i])
		}
	}
}

func boolMetric(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// An exposition is a text of metrics.
type exposition struct{ strings.Builder }

func (e *exposition) single(name, kind, help string, value float64, labels ...string) {
	e.family(name, kind, help)
	e.sample(name, value, labels...)
}

func (e *exposition) family(name, kind, help string) {
	fmt.Fprintf(e, "# HELP elementum_%s %s\n# TYPE elementum_%s %s\n", name, help, name, kind)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (e *exposition) sample(name string, value float64, labels ...string) {
	e.WriteString("elementum_" + name)
	for i := 0; i+1 < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(e, `%s%s="%s"`, separator, labels[i], labelEscapes.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")))
	}
	if len(labels) > 1 {
		e.WriteString("}")
	}
	fmt.Fprintf(e, " %v\n", value)
}
