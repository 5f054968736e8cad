package torrent

import (
	"sync"
	"time"

	"elementum.example/torrent/internal/capi"
)

// Config is how a session is opened. The zero value is a good one.
type Config struct {
	// Bytes of payload that the session's torrents may hold in memory, all together. 0: as State says, else the setting's default.
	MemoryLimit int64
	// Where to listen: "0.0.0.0:6881,[::]:6881". Empty: as State says, else the setting's default.
	ListenInterfaces string
	// Other settings, by name; they come after the fields above. One that is not named is as State says, else it has its default.
	Settings Settings
	// What Session.SaveState gave: the settings of that session, below what is set here; its DHT nodes, identity and counters.
	State []byte
	// How long Close waits for what still runs. 0: ten seconds. Not negative.
	CloseTimeout time.Duration
}

// A Session takes part in swarms. It has threads, sockets, memory and an alert queue of its own; sessions share nothing.
//
// All methods may be called from any goroutine. After Close they return [ErrClosed].
type Session struct {
	raw          *capi.Session
	closeTimeout time.Duration

	alertWaiter struct {
		sync.Mutex
		*waiter
		closed bool
	}
}

// Version is the version of the library that is linked, such as "0.1.0"; empty without cgo.
func Version() string { return capi.Version() }

// ABIVersion is the version of its C ABI; 0 without cgo.
func ABIVersion() uint32 { return capi.ABIVersion() }

// Open opens a session: it listens, and its threads run. Close it.
//
// A port that is taken is no error: a [ListenFailed] tells. Errors: [ErrInvalidArgument], [ErrUnknownSetting], [ErrParse] for a damaged
// state, [ErrUnsupported] without cgo.
func Open(config Config) (*Session, error) {
	const op = "Open"
	settings, failed := capi.NewSettings()
	if failed != nil {
		return nil, wrap(op, failed)
	}
	defer settings.Free()
	if config.CloseTimeout < 0 {
		return nil, invalid(op, "CloseTimeout is %v, allowed is 0 and above", config.CloseTimeout)
	}
	fields := Settings{}
	if config.MemoryLimit != 0 {
		fields["memory_limit"] = config.MemoryLimit
	}
	if config.ListenInterfaces != "" {
		fields["listen_interfaces"] = config.ListenInterfaces
	}
	for _, set := range []Settings{fields, config.Settings} {
		if err := set.put(op, settings); err != nil {
			return nil, err
		}
	}
	raw, failed := capi.OpenSession(settings, config.State)
	if failed != nil {
		return nil, wrap(op, failed)
	}
	timeout := config.CloseTimeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	return &Session{raw: raw, closeTimeout: timeout}, nil
}

// Close ends the session: trackers are told, sockets and threads end, every wait of another goroutine returns, readers get
// [ErrClosed]. It waits for [Config].CloseTimeout at most; what still runs then ends by itself, and the error is [ErrTimedOut]. Closing
// again, or nil, does nothing.
func (s *Session) Close() error {
	if s == nil {
		return nil
	}
	err := wrap("Session.Close", s.raw.Close(s.closeTimeout.Milliseconds()))
	s.alertWaiter.Lock()
	defer s.alertWaiter.Unlock()
	if s.alertWaiter.waiter != nil && !s.alertWaiter.closed {
		s.alertWaiter.close()
	}
	s.alertWaiter.closed = true
	return err
}

// AddTorrentParams is what to add, and how: one of Magnet and Torrent; the zero value of all else is its default.
type AddTorrentParams struct {
	// A magnet link (BEP 9), or
	Magnet string
	// the bytes of a torrent file.
	Torrent []byte
	// The directory for disk storage; memory storage ignores it.
	SavePath string
	// A priority a file; files beyond its end have the default: 4 on disk; 0 in memory, where nothing is fetched that nobody asks for.
	// Allowed before the metadata is there.
	FilePriorities []Priority
	// A priority a piece, above those of the files.
	PiecePriorities []Priority
	// URLs of trackers beside those of the source, each a tier of its own.
	Trackers []string
	// Peers to try: "192.0.2.1:6881", "[2001:db8::1]:6881".
	Peers []string
	// How it behaves.
	Flags TorrentFlags
	// Where its pieces live.
	Storage StorageKind
	// Bytes a second, 0: no limit but the session's.
	DownloadLimit, UploadLimit uint32
	// Peers, and peers to upload to; 0: as the settings say.
	MaxConnections, MaxUploads uint32
}

// AddTorrent adds a torrent, which starts at once unless it is added paused. Its storage index is there at once, for a magnet too;
// what a magnet is of, [Torrent.WaitMetadata] waits for.
//
// Errors: [ErrDuplicateTorrent] where it is there already: the torrent that is there comes with it, and takes in what is new to it
// (metadata, trackers, web seeds, peers), unless [FlagDuplicateIsError] is set. [ErrParse], [ErrInvalidArgument],
// [ErrUnsupported] for a torrent that only has v2 hashes.
func (s *Session) AddTorrent(params AddTorrentParams) (*Torrent, error) {
	const op = "Session.AddTorrent"
	switch hasFile := len(params.Torrent) > 0; {
	case params.Magnet == "" && !hasFile:
		return nil, invalid(op, "neither Magnet nor Torrent is set")
	case params.Magnet != "" && hasFile:
		return nil, invalid(op, "both Magnet and Torrent are set")
	}
	files, err := checkPriorities(op, params.FilePriorities)
	if err != nil {
		return nil, err
	}
	pieces, err := checkPriorities(op, params.PiecePriorities)
	if err != nil {
		return nil, err
	}
	index, failed := s.raw.AddTorrent(&capi.AddTorrentParams{
		Magnet:          params.Magnet,
		Torrent:         params.Torrent,
		SavePath:        params.SavePath,
		FilePriorities:  files,
		PiecePriorities: pieces,
		Trackers:        params.Trackers,
		Peers:           params.Peers,
		Flags:           uint64(params.Flags),
		Storage:         int32(params.Storage),
		DownloadLimit:   params.DownloadLimit,
		UploadLimit:     params.UploadLimit,
		MaxConnections:  params.MaxConnections,
		MaxUploads:      params.MaxUploads,
	})
	if failed != nil && failed.Status != capi.ErrDuplicateTorrent {
		return nil, wrap(op, failed)
	}
	return s.Torrent(StorageIndex(index)), wrap(op, failed)
}

// Torrent is the torrent of a storage index. Whether there is one, its methods tell.
func (s *Session) Torrent(index StorageIndex) *Torrent { return &Torrent{session: s, index: index} }

// Torrents gives all torrents, in the order they were added.
func (s *Session) Torrents() ([]*Torrent, error) {
	indexes, err := s.raw.Torrents()
	torrents := make([]*Torrent, len(indexes))
	for i, index := range indexes {
		torrents[i] = s.Torrent(StorageIndex(index))
	}
	return torrents, wrap("Session.Torrents", err)
}

// Find finds a torrent by its info-hashes: v1 or v2 alike is enough. Errors: [ErrNotFound].
func (s *Session) Find(hashes InfoHashes) (*Torrent, error) {
	if hashes.IsZero() {
		return nil, invalid("Session.Find", "there is no info-hash in it")
	}
	index, err := s.raw.FindTorrent(hashes.raw())
	if err != nil {
		return nil, wrap("Session.Find", err)
	}
	return s.Torrent(StorageIndex(index)), nil
}

// Remove removes a torrent. Its readers get [ErrInvalidStorageIndex] from now on, and waits on them return. A [TorrentRemoved] follows when
// its files are closed; with [RemoveDeleteFiles] a [TorrentDeleted] or a [TorrentDeleteFailed] after that.
func (s *Session) Remove(index StorageIndex, flags RemoveFlags) error {
	return wrap("Session.Remove", s.raw.RemoveTorrent(uint64(index), uint32(flags)))
}

// Statuses gives the status of all torrents in one call, in the order they were added.
func (s *Session) Statuses() ([]TorrentStatus, error) {
	raw, err := s.raw.TorrentStatuses()
	all := make([]TorrentStatus, len(raw))
	for i := range raw {
		all[i] = torrentStatus(&raw[i])
	}
	return all, wrap("Session.Statuses", err)
}

// ApplySettings changes settings of the running session, those that are named: all of them or, on an error, none. They count at once,
// for all that begins from then on, and two calls at once do not undo each other's. Errors: [ErrUnsupported] for one that is not live (see [DescribeSettings]).
func (s *Session) ApplySettings(changes Settings) error {
	const op = "Session.ApplySettings"
	settings, failed := capi.NewSettings()
	if failed != nil {
		return wrap(op, failed)
	}
	defer settings.Free()
	if err := changes.put(op, settings); err != nil {
		return err
	}
	return wrap(op, s.raw.ApplySettings(settings))
}

// Settings gives the session's settings, those that do something.
func (s *Session) Settings() (Settings, error) {
	const op = "Session.Settings"
	settings, failed := s.raw.Settings()
	if failed != nil {
		return nil, wrap(op, failed)
	}
	defer settings.Free()
	return settingsOf(op, settings)
}

// SaveState gives what is worth keeping of a session, for [Config].State: settings, DHT nodes and identity, and the AllTime counters of
// [SessionStats]. Torrents are not in it, nor what was counted of each.
func (s *Session) SaveState() ([]byte, error) {
	state, err := s.raw.SaveState()
	return state, wrap("Session.SaveState", err)
}

// SetMemoryLimit changes the memory limit. Lowered, what is too much is evicted, and what lookbehind protects beyond half of it is protected
// no longer, see [Torrent.SetLookbehind]. bytes: 262144 at least.
func (s *Session) SetMemoryLimit(bytes int64) error {
	if bytes < 0 {
		return invalid("Session.SetMemoryLimit", "%d bytes, allowed is 262144 and above", bytes)
	}
	return wrap("Session.SetMemoryLimit", s.raw.SetMemoryLimit(uint64(bytes)))
}

// Pause pauses all torrents, those that are added later or at the same time too, without changing their own paused flag.
func (s *Session) Pause() error { return wrap("Session.Pause", s.raw.Pause()) }

// Resume ends Pause.
func (s *Session) Resume() error { return wrap("Session.Resume", s.raw.Resume()) }

// IsPaused tells whether the session is paused.
func (s *Session) IsPaused() (bool, error) {
	paused, err := s.raw.IsPaused()
	return paused, wrap("Session.IsPaused", err)
}

// ListenPort gives the TCP port that the session listens on, the first where there are several; 0 where it listens on none.
func (s *Session) ListenPort() (uint16, error) {
	port, err := s.raw.ListenPort()
	return port, wrap("Session.ListenPort", err)
}

// AddDHTNode tells the DHT of a node: a name or an address, and a port.
func (s *Session) AddDHTNode(host string, port uint16) error {
	return wrap("Session.AddDHTNode", s.raw.AddDHTNode(host, int32(port)))
}

// A PortRule says of the ports from First to Last whether peers are dialled there.
type PortRule struct {
	First, Last uint16
	Blocked     bool
}

// SetPortFilter sets the ports at which no peer is dialled, in place of those that were set before. Where two rules name a port the later one
// holds; a port that none of them names is allowed; without rules all are. At once those who are blocked now leave the lists of all torrents, and
// connections with them end ([ClosePortBlocked]): with those that we dialled at such a port, and those that told that they listen at one. Whoever
// comes later is let in, whatever its port. [PeerBlocked] tells. It is not part of [Session.SaveState].
func (s *Session) SetPortFilter(rules ...PortRule) error {
	raw := make([]capi.PortRule, len(rules))
	for i, rule := range rules {
		raw[i] = capi.PortRule{First: rule.First, Last: rule.Last}
		if rule.Blocked {
			raw[i].Access = capi.PortBlocked
		}
	}
	return wrap("Session.SetPortFilter", s.raw.SetPortFilter(raw))
}

// SessionStats are counters of a session.
type SessionStats struct {
	Torrents, Readers uint32
	// Peers whose handshake is done, and dials under way.
	Peers, HalfOpen uint32
	DHTNodes        uint32
	// Bytes since the session opened, protocol and payload; torrents that were removed count too.
	Download, Upload uint64
	// Bytes of pieces alone.
	PayloadDownload, PayloadUpload uint64
	// Bytes of payload since the session opened, and before in the sessions whose state led to it.
	AllTimeDownload, AllTimeUpload uint64
	// Bytes a second, as an average that forgets within seconds: a change, a new limit too, shows after one to three.
	DownloadRate, UploadRate               uint32
	PayloadDownloadRate, PayloadUploadRate uint32
	// Bytes of payload that may be in memory, that are, and the most that were since the limit was set, that moment included: more
	// than may be only where the limit was lowered below what was there.
	MemoryLimit, MemoryCharged, MemoryPeak uint64
	// Alerts, and those of them that a full queue had no room for.
	AlertsPosted, AlertsDropped uint64
	Uptime                      time.Duration
	// Pieces that came in wrong since the session opened.
	HashFailures uint64
	// Bytes that came in although they were there already, since the session opened.
	RedundantBytes uint64
}

// Stats gives the session's counters.
func (s *Session) Stats() (SessionStats, error) {
	var raw capi.SessionStatsInfo
	if err := s.raw.Stats(&raw); err != nil {
		return SessionStats{}, wrap("Session.Stats", err)
	}
	return SessionStats{
		Torrents:            raw.Num_torrents,
		Readers:             raw.Num_readers,
		Peers:               raw.Num_peers,
		HalfOpen:            raw.Half_open,
		DHTNodes:            raw.Dht_nodes,
		Download:            raw.Total_download,
		Upload:              raw.Total_upload,
		PayloadDownload:     raw.Total_payload_download,
		PayloadUpload:       raw.Total_payload_upload,
		AllTimeDownload:     raw.All_time_download,
		AllTimeUpload:       raw.All_time_upload,
		DownloadRate:        raw.Download_rate,
		UploadRate:          raw.Upload_rate,
		PayloadDownloadRate: raw.Payload_download_rate,
		PayloadUploadRate:   raw.Payload_upload_rate,
		MemoryLimit:         raw.Memory_limit,
		MemoryCharged:       raw.Memory_charged,
		MemoryPeak:          raw.Memory_peak,
		AlertsPosted:        raw.Alerts_posted,
		AlertsDropped:       raw.Alerts_dropped,
		Uptime:              milliseconds(raw.Uptime_ms),
		HashFailures:        raw.Hash_failures,
		RedundantBytes:      raw.Redundant_bytes,
	}, nil
}

func milliseconds[N uint32 | uint64 | int64](ms N) time.Duration {
	return time.Duration(ms) * time.Millisecond
}
