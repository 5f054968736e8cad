package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"elementum.example/torrent"
)

// What the API and the events tell, as JSON. Storage indexes are strings: they are beyond what JavaScript's numbers hold. Sizes are
// bytes, rates bytes a second, times seconds since 1970, durations milliseconds.

type sessionView struct {
	Version       string `json:"version"`
	UptimeMS      int64  `json:"uptime_ms"`
	Storage       string `json:"storage"`
	Paused        bool   `json:"paused"`
	ListenPort    uint16 `json:"listen_port"`
	Torrents      uint32 `json:"torrents"`
	Readers       uint32 `json:"readers"`
	Streams       int    `json:"streams"`
	Peers         uint32 `json:"peers"`
	HalfOpen      uint32 `json:"half_open"`
	DHTNodes      uint32 `json:"dht_nodes"`
	DownloadRate  uint32 `json:"download_rate"`
	UploadRate    uint32 `json:"upload_rate"`
	Downloaded    uint64 `json:"downloaded"`
	Uploaded      uint64 `json:"uploaded"`
	DownloadLimit int64  `json:"download_limit"`
	UploadLimit   int64  `json:"upload_limit"`
	MemoryLimit   uint64 `json:"memory_limit"`
	MemoryCharged uint64 `json:"memory_charged"`
	MemoryPeak    uint64 `json:"memory_peak"`
	HashFailures  uint64 `json:"hash_failures"`
	Redundant     uint64 `json:"redundant"`
	AlertsDropped uint64 `json:"alerts_dropped"`
}

func (s *service) sessionView() (sessionView, error) {
	stats, err := s.session.Stats()
	if err != nil {
		return sessionView{}, err
	}
	settings, err := s.session.Settings()
	if err != nil {
		return sessionView{}, err
	}
	paused, err := s.session.IsPaused()
	if err != nil {
		return sessionView{}, err
	}
	port, err := s.session.ListenPort()
	if err != nil {
		return sessionView{}, err
	}
	download, _ := settings["download_rate_limit"].(int64)
	upload, _ := settings["upload_rate_limit"].(int64)
	return sessionView{
		Version:       torrent.Version(),
		UptimeMS:      stats.Uptime.Milliseconds(),
		Storage:       s.config.storage.String(),
		Paused:        paused,
		ListenPort:    port,
		Torrents:      stats.Torrents,
		Readers:       stats.Readers,
		Streams:       s.streams.count(),
		Peers:         stats.Peers,
		HalfOpen:      stats.HalfOpen,
		DHTNodes:      stats.DHTNodes,
		DownloadRate:  stats.PayloadDownloadRate,
		UploadRate:    stats.PayloadUploadRate,
		Downloaded:    stats.PayloadDownload,
		Uploaded:      stats.PayloadUpload,
		DownloadLimit: download,
		UploadLimit:   upload,
		MemoryLimit:   stats.MemoryLimit,
		MemoryCharged: stats.MemoryCharged,
		MemoryPeak:    stats.MemoryPeak,
		HashFailures:  stats.HashFailures,
		Redundant:     stats.RedundantBytes,
		AlertsDropped: stats.AlertsDropped,
	}, nil
}

type torrentView struct {
	Index          string     `json:"index"`
	InfoHash       string     `json:"info_hash"`
	Magnet         string     `json:"magnet"`
	Name           string     `json:"name"`
	State          string     `json:"state"`
	Paused         bool       `json:"paused"`
	Error          *errorView `json:"error"`
	Storage        string     `json:"storage"`
	HasMetadata    bool       `json:"has_metadata"`
	Progress       float64    `json:"progress"`
	Size           uint64     `json:"size"`
	Done           uint64     `json:"done"`
	DownloadRate   uint32     `json:"download_rate"`
	UploadRate     uint32     `json:"upload_rate"`
	Downloaded     uint64     `json:"downloaded"`
	Uploaded       uint64     `json:"uploaded"`
	DownloadLimit  uint32     `json:"download_limit"`
	UploadLimit    uint32     `json:"upload_limit"`
	MaxConnections uint32     `json:"max_connections"`
	MaxUploads     uint32     `json:"max_uploads"`
	Peers          int        `json:"peers"`
	Seeds          int        `json:"seeds"`
	KnownPeers     int        `json:"known_peers"`
	Readers        int        `json:"readers"`
	PieceLength    uint32     `json:"piece_length"`
	Pieces         int        `json:"pieces"`
	PiecesHad      int        `json:"pieces_had"`
	Added          int64      `json:"added"`
}

func (s *service) torrentViews() ([]torrentView, error) {
	statuses, err := s.session.Statuses()
	if err != nil {
		return nil, err
	}
	views := make([]torrentView, 0, len(statuses))
	for i := range statuses {
		view, err := s.torrentView(&statuses[i])
		if errors.Is(err, torrent.ErrInvalidStorageIndex) {
			// It was removed since.
			continue
		}
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, nil
}

func (s *service) torrentViewOf(t *torrent.Torrent) (torrentView, error) {
	status, err := t.Status()
	if err != nil {
		return torrentView{}, err
	}
	return s.torrentView(&status)
}

func (s *service) torrentView(status *torrent.TorrentStatus) (torrentView, error) {
	t := s.session.Torrent(status.StorageIndex)
	name, err := t.Name()
	if err != nil {
		return torrentView{}, err
	}
	view := torrentView{
		Index:          status.StorageIndex.String(),
		InfoHash:       status.InfoHashes.String(),
		Magnet:         status.InfoHashes.Magnet(),
		Name:           cmp.Or(strings.TrimSpace(shown(name)), status.InfoHashes.String()),
		State:          status.State.String(),
		Paused:         status.Paused,
		Storage:        status.Storage.String(),
		HasMetadata:    status.HasMetadata,
		Progress:       status.Progress,
		Size:           status.Total,
		Done:           status.Done,
		DownloadRate:   status.PayloadDownloadRate,
		UploadRate:     status.PayloadUploadRate,
		Downloaded:     status.PayloadDownload,
		Uploaded:       status.PayloadUpload,
		DownloadLimit:  status.DownloadLimit,
		UploadLimit:    status.UploadLimit,
		MaxConnections: status.MaxConnections,
		MaxUploads:     status.MaxUploads,
		Peers:          status.Peers,
		Seeds:          status.Seeds,
		KnownPeers:     status.ListPeers,
		Readers:        status.Readers,
		PieceLength:    status.PieceLength,
		Pieces:         status.PiecesTotal,
		PiecesHad:      status.NumPieces,
		Added:          unix(status.AddedTime),
	}
	if name != "" {
		view.Magnet += "&dn=" + url.QueryEscape(name)
	}
	if status.ErrCode != 0 {
		if err := t.Err(); err != nil {
			view.Error = &errorView{toFailure(err).code, messageOf(err)}
		}
	}
	return view, nil
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

type fileView struct {
	File        int    `json:"file"`
	Path        string `json:"path"`
	Size        uint64 `json:"size"`
	Offset      uint64 `json:"offset"`
	Done        uint64 `json:"done"`
	Priority    uint8  `json:"priority"`
	Kind        string `json:"kind"`
	ContentType string `json:"content_type"`
	Playable    bool   `json:"playable"`
	Pad         bool   `json:"pad"`
	FirstPiece  int    `json:"first_piece"`
	EndPiece    int    `json:"end_piece"`
	Stream      string `json:"stream"`
}

type peerView struct {
	Address      string   `json:"address"`
	Connection   string   `json:"connection"`
	Encryption   string   `json:"encryption"`
	Client       string   `json:"client"`
	Flags        []string `json:"flags"`
	Source       []string `json:"source"`
	Progress     float64  `json:"progress"`
	DownloadRate uint32   `json:"download_rate"`
	UploadRate   uint32   `json:"upload_rate"`
	Downloaded   uint64   `json:"downloaded"`
	Uploaded     uint64   `json:"uploaded"`
	Requests     int      `json:"requests"`
	RTTMS        int64    `json:"rtt_ms"`
	HashFailures int      `json:"hash_failures"`
}

func peerViews(t *torrent.Torrent) ([]peerView, error) {
	peers, err := t.Peers()
	if err != nil {
		return nil, err
	}
	// In no order as they come: a table must not jump about.
	slices.SortFunc(peers, func(a, b torrent.Peer) int { return a.Endpoint.Compare(b.Endpoint) })
	views := make([]peerView, len(peers))
	for i, peer := range peers {
		views[i] = peerView{
			Address:      peerAddress(peer),
			Connection:   peer.SocketType.String(),
			Encryption:   encryption(peer.Flags),
			Client:       peer.Client,
			Flags:        flagNames(peer.Flags.String()),
			Source:       flagNames(peer.Source.String()),
			Progress:     peer.Progress,
			DownloadRate: peer.PayloadDownloadRate,
			UploadRate:   peer.PayloadUploadRate,
			Downloaded:   peer.Download,
			Uploaded:     peer.Upload,
			Requests:     peer.DownloadQueue,
			RTTMS:        peer.RTT.Milliseconds(),
			HashFailures: peer.HashFails,
		}
	}
	return views, nil
}

// peerAddress is where a peer is, by its name where that is all that is known.
func peerAddress(peer torrent.Peer) string {
	if peer.Host != "" {
		return net.JoinHostPort(peer.Host, strconv.Itoa(int(peer.Endpoint.Port())))
	}
	return peer.Endpoint.String()
}

func encryption(flags torrent.PeerFlags) string {
	switch {
	case flags&torrent.PeerFlagRC4Encrypted != 0:
		return "rc4"
	case flags&torrent.PeerFlagPlaintextEncrypted != 0:
		return "handshake"
	}
	return "none"
}

// flagNames takes the names of flags apart; no flag has none.
func flagNames(text string) []string {
	if text == "0x0" {
		return []string{}
	}
	return strings.Split(text, "|")
}

type trackerView struct {
	URL            string `json:"url"`
	Tier           int    `json:"tier"`
	Fails          int    `json:"fails"`
	Updating       bool   `json:"updating"`
	Verified       bool   `json:"verified"`
	Enabled        bool   `json:"enabled"`
	Peers          int    `json:"peers"`
	Seeds          int    `json:"seeds"`
	Leechers       int    `json:"leechers"`
	NextAnnounceMS int64  `json:"next_announce_ms"`
	Message        string `json:"message"`
	Error          string `json:"error"`
}

func trackerViews(t *torrent.Torrent) ([]trackerView, error) {
	trackers, err := t.Trackers()
	if err != nil {
		return nil, err
	}
	views := make([]trackerView, len(trackers))
	for i, tracker := range trackers {
		views[i] = trackerView{
			URL:            withoutPasskey(tracker.URL),
			Tier:           tracker.Tier,
			Fails:          tracker.Fails,
			Updating:       tracker.Updating,
			Verified:       tracker.Verified,
			Enabled:        tracker.Enabled,
			Peers:          tracker.Peers,
			Seeds:          tracker.Seeds,
			Leechers:       tracker.Leechers,
			NextAnnounceMS: tracker.NextAnnounce.Milliseconds(),
			Message:        tracker.Message,
			Error:          withoutErrno(tracker.LastError),
		}
	}
	return views, nil
}

// withoutPasskey is what of a tracker's address may be seen: not what is behind its host, where it is more than the usual path.
func withoutPasskey(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return "…"
	}
	shown := parsed.Scheme + "://" + parsed.Host
	switch {
	case parsed.RawQuery != "":
		return shown + "/…"
	case parsed.Path == "" || parsed.Path == "/announce":
		return shown + parsed.Path
	}
	return shown + "/…"
}

type piecesView struct {
	Index       string        `json:"index"`
	PieceLength uint32        `json:"piece_length"`
	Pieces      int           `json:"pieces"`
	Had         int           `json:"had"`
	Bitfield    string        `json:"bitfield"`
	Partial     []partialView `json:"partial"`
	Storage     storageView   `json:"storage"`
}

type partialView struct {
	Piece     int `json:"piece"`
	Blocks    int `json:"blocks"`
	Finished  int `json:"finished"`
	Requested int `json:"requested"`
}

type storageView struct {
	Resident  uint64 `json:"resident"`
	Partial   uint64 `json:"partial"`
	InFlight  uint64 `json:"in_flight"`
	Pinned    uint64 `json:"pinned"`
	Protected uint64 `json:"protected"`
	Share     uint64 `json:"share"`
	Evicted   uint64 `json:"evicted"`
	Refetched uint64 `json:"refetched"`
}

func piecesViewOf(t *torrent.Torrent) (*piecesView, error) {
	info, err := t.Info()
	if err != nil {
		return nil, err
	}
	pieces, err := t.Pieces()
	if err != nil {
		return nil, err
	}
	queue, err := t.DownloadQueue()
	if err != nil {
		return nil, err
	}
	storage, err := t.StorageStats()
	if err != nil {
		return nil, err
	}
	view := &piecesView{
		Index:       t.StorageIndex().String(),
		PieceLength: info.PieceLength,
		Pieces:      pieces.Len(),
		Had:         pieces.Count(),
		Bitfield:    base64.StdEncoding.EncodeToString(pieces.Bytes()),
		Partial:     make([]partialView, len(queue)),
		Storage: storageView{
			Resident:  storage.Resident,
			Partial:   storage.Partial,
			InFlight:  storage.InFlight,
			Pinned:    storage.Pinned,
			Protected: storage.Protected,
			Share:     storage.Share,
			Evicted:   storage.EvictedPieces,
			Refetched: storage.RefetchedPieces,
		},
	}
	for i, piece := range queue {
		view.Partial[i] = partialView{
			Piece:     int(piece.Piece),
			Blocks:    len(piece.Blocks),
			Finished:  piece.Finished + piece.Writing,
			Requested: piece.Requested,
		}
	}
	return view, nil
}
