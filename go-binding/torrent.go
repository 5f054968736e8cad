package torrent

import (
	"context"
	"math"
	"net/netip"
	"time"

	"elementum.example/torrent/internal/capi"
)

// A Torrent is one torrent of a session. It is a name, not a handle: it holds nothing, and need not be closed. Once the torrent is
// removed its methods return [ErrInvalidStorageIndex].
type Torrent struct {
	session *Session
	index   StorageIndex
}

// StorageIndex is the torrent's name in its session.
func (t *Torrent) StorageIndex() StorageIndex { return t.index }

// Session is the torrent's session.
func (t *Torrent) Session() *Session { return t.session }

// Remove is [Session.Remove] of this torrent.
func (t *Torrent) Remove(flags RemoveFlags) error {
	s, index := t.raw()
	return wrap("Torrent.Remove", s.RemoveTorrent(index, uint32(flags)))
}

// raw is what a call needs. One that was not made by a session is as one whose session is closed.
func (t *Torrent) raw() (*capi.Session, uint64) {
	if t == nil || t.session == nil {
		return nil, 0
	}
	return t.session.raw, uint64(t.index)
}

// simple calls a function that takes nothing else.
func (t *Torrent) simple(op string, f func(s *capi.Session, index uint64) *capi.Error) error {
	return wrap("Torrent."+op, f(t.raw()))
}

// Pause pauses the torrent: its connections end, what it has stays. A [TorrentPaused] follows.
func (t *Torrent) Pause() error { return t.simple("Pause", (*capi.Session).PauseTorrent) }

// Resume lets a paused torrent run, and one that an error stopped. A [TorrentResumed] follows.
func (t *Torrent) Resume() error { return t.simple("Resume", (*capi.Session).ResumeTorrent) }

// ForceRecheck checks again all that the torrent has on disk, from the start where a check is under way; its connections end, and are
// made again. What lies in memory was verified when it came: there it is over at once. One that an error stopped runs on. A
// [TorrentChecked] follows. Errors: [ErrNoMetadata].
func (t *Torrent) ForceRecheck() error { return t.simple("ForceRecheck", (*capi.Session).ForceRecheck) }

// ForceReannounce announces to the trackers now.
func (t *Torrent) ForceReannounce() error {
	return t.simple("ForceReannounce", (*capi.Session).ForceReannounce)
}

// ForceDHTAnnounce announces to the DHT now, which looks for peers too.
func (t *Torrent) ForceDHTAnnounce() error {
	return t.simple("ForceDHTAnnounce", (*capi.Session).ForceDHTAnnounce)
}

// SetFlags sets flags. The others stay as they are.
func (t *Torrent) SetFlags(flags TorrentFlags) error {
	s, index := t.raw()
	return wrap("Torrent.SetFlags", s.SetFlags(index, uint64(flags)))
}

// UnsetFlags clears flags. The others stay as they are.
func (t *Torrent) UnsetFlags(flags TorrentFlags) error {
	s, index := t.raw()
	return wrap("Torrent.UnsetFlags", s.UnsetFlags(index, uint64(flags)))
}

// SetDownloadLimit sets how many bytes a second may come in, 0: no limit but the session's. Errors: [ErrInvalidArgument] below 0 and above
// 4294967295. So it is for the other limits, each of which leaves the rest as they are.
func (t *Torrent) SetDownloadLimit(bytes int64) error {
	return t.setLimit("SetDownloadLimit", bytes, func(l *capi.TorrentLimits) *int64 { return &l.Download_limit })
}

// SetUploadLimit sets how many bytes a second may go out, 0: no limit but the session's.
func (t *Torrent) SetUploadLimit(bytes int64) error {
	return t.setLimit("SetUploadLimit", bytes, func(l *capi.TorrentLimits) *int64 { return &l.Upload_limit })
}

// SetMaxConnections sets how many peers there may be, 0: as the settings say.
func (t *Torrent) SetMaxConnections(peers int64) error {
	return t.setLimit("SetMaxConnections", peers, func(l *capi.TorrentLimits) *int64 { return &l.Max_connections })
}

// SetMaxUploads sets how many peers may be uploaded to, 0: as the settings say.
func (t *Torrent) SetMaxUploads(peers int64) error {
	return t.setLimit("SetMaxUploads", peers, func(l *capi.TorrentLimits) *int64 { return &l.Max_uploads })
}

// setLimit sets one of the limits. -1, which leaves one as it is, is for the others alone.
func (t *Torrent) setLimit(call string, value int64, which func(*capi.TorrentLimits) *int64) error {
	op := "Torrent." + call
	if value < 0 || value > math.MaxUint32 {
		return invalid(op, "%d is out of range: 0 to %d", value, uint32(math.MaxUint32))
	}
	limits := capi.TorrentLimits{Download_limit: -1, Upload_limit: -1, Max_connections: -1, Max_uploads: -1}
	*which(&limits) = value
	s, index := t.raw()
	return wrap(op, s.SetLimits(index, &limits))
}

// Name is the torrent's name, as far as it is known: a magnet's may be empty before the metadata.
func (t *Torrent) Name() (string, error) {
	s, index := t.raw()
	name, err := s.TorrentName(index)
	return name, wrap("Torrent.Name", err)
}

// SavePath is the directory of the torrent's files; empty for one in memory.
func (t *Torrent) SavePath() (string, error) {
	s, index := t.raw()
	path, err := s.TorrentSavePath(index)
	return path, wrap("Torrent.SavePath", err)
}

// Metainfo gives the bytes of a torrent file: the info dictionary exactly as its hash wants it, and the trackers. Errors:
// [ErrNoMetadata].
func (t *Torrent) Metainfo() ([]byte, error) {
	s, index := t.raw()
	bytes, err := s.TorrentMetainfo(index)
	return bytes, wrap("Torrent.Metainfo", err)
}

// Err is the error that stopped the torrent, nil where nothing did; or why that cannot be told.
func (t *Torrent) Err() error {
	s, index := t.raw()
	stopped, err := s.TorrentError(index)
	if err != nil {
		return wrap("Torrent.Err", err)
	}
	return wrap("Torrent", stopped)
}

// HasMetadata tells whether files and pieces are known.
func (t *Torrent) HasMetadata() (bool, error) {
	s, index := t.raw()
	has, err := s.TorrentHasMetadata(index)
	return has, wrap("Torrent.HasMetadata", err)
}

const (
	// The library's wait is no longer than this at a time: it does not end with a context.
	metadataWait = 50 * time.Millisecond
	// How often those look that do not wait in the library.
	metadataLook = 20 * time.Millisecond
)

// Waits for metadata in the library, in the whole program. Each holds a thread, which Go then keeps for ever; more than these look now
// and then instead.
var metadataWaits = make(chan struct{}, 4)

// WaitMetadata waits until the metadata is there. It ends with the context's cause, with the error that stops the torrent, or when the
// torrent or the session is gone.
func (t *Torrent) WaitMetadata(ctx context.Context) error {
	const op = "Torrent.WaitMetadata"
	ctx = orBackground(ctx)
	s, index := t.raw()
	err := s.WaitMetadata(index, 0)
	for err != nil && (err.Status == capi.ErrWouldBlock || err.Status == capi.ErrTimedOut) {
		if ctx.Err() != nil {
			return waitError(ctx, op, "the metadata did not come in time")
		}
		select {
		case metadataWaits <- struct{}{}:
			err = s.WaitMetadata(index, waitUntil(ctx, metadataWait))
			<-metadataWaits
			continue
		default:
		}
		select {
		case <-time.After(metadataLook):
			err = s.WaitMetadata(index, 0)
		case <-ctx.Done():
		}
	}
	return wrap(op, err)
}

// waitUntil is a wait that ends with the context's deadline, if that is sooner.
func waitUntil(ctx context.Context, most time.Duration) capi.Wait {
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, max(time.Until(deadline), 0))
	}
	return capi.Wait((most + time.Millisecond - 1) / time.Millisecond)
}

// Metadata is WaitMetadata for a select: the channel gets what came of the wait, nil or an error, once.
//
//	select {
//	case err := <-added.Metadata(ctx):
//		…
//	case <-other:
//		…
//	}
func (t *Torrent) Metadata(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- t.WaitMetadata(ctx) }()
	return done
}

// TorrentInfo is what a torrent's metadata says.
type TorrentInfo struct {
	// Bytes of all files.
	TotalSize uint64
	// Bytes of each piece but the last.
	PieceLength uint32
	NumPieces   int
	NumFiles    int
	// Peers only from its trackers (BEP 27).
	Private    bool
	InfoHashes InfoHashes
}

// PieceSize is the bytes of a piece, 0 for no such piece.
func (i TorrentInfo) PieceSize(piece PieceIndex) uint32 {
	switch {
	case piece < 0 || int(piece) >= i.NumPieces:
		return 0
	case int(piece) < i.NumPieces-1:
		return i.PieceLength
	}
	return uint32(i.TotalSize - uint64(i.NumPieces-1)*uint64(i.PieceLength))
}

// Info gives what the metadata says. Errors: [ErrNoMetadata].
func (t *Torrent) Info() (TorrentInfo, error) {
	s, index := t.raw()
	var raw capi.MetadataInfo
	if err := s.TorrentInfo(index, &raw); err != nil {
		return TorrentInfo{}, wrap("Torrent.Info", err)
	}
	return TorrentInfo{
		TotalSize:   raw.Total_size,
		PieceLength: raw.Piece_length,
		NumPieces:   int(raw.Num_pieces),
		NumFiles:    int(raw.Num_files),
		Private:     raw.Is_private != 0,
		InfoHashes:  infoHashes(&raw.Info_hashes),
	}, nil
}

// A File is a file of a torrent.
type File struct {
	Index FileIndex
	// Relative, '/' between its parts, none of them ".."; begins with the torrent's name where it has several files.
	Path string
	// Bytes of the file, and from the torrent's start to it.
	Length, Offset uint64
	// The pieces with its bytes: from the first to before the end. Equal for an empty file.
	FirstPiece, EndPiece PieceIndex
	Flags                FileFlags
	// Zero where it is not told.
	ModTime time.Time
	// Where a symlink points to, in the form of Path; else empty.
	SymlinkTarget string
}

// Files gives the torrent's files, in the order of their numbers. Errors: [ErrNoMetadata].
func (t *Torrent) Files() ([]File, error) { return t.files("Torrent.Files") }

func (t *Torrent) files(op string) ([]File, error) {
	s, index := t.raw()
	return list(op, index, s.Files, func(record capi.Record, raw *capi.FileInfo) File {
		return File{
			Index:         FileIndex(raw.File),
			Path:          record.Text(raw.Path),
			Length:        raw.Length,
			Offset:        raw.Offset,
			FirstPiece:    PieceIndex(raw.First_piece),
			EndPiece:      PieceIndex(raw.End_piece),
			Flags:         FileFlags(raw.Flags),
			ModTime:       unixTime(raw.Mtime),
			SymlinkTarget: record.Text(raw.Symlink_target),
		}
	})
}

// LargestFile gives the largest file, which mostly is the one to play; of several the first. Padding and symlinks are none. Errors:
// [ErrNoMetadata], [ErrNotFound] where there is no other.
func (t *Torrent) LargestFile() (File, error) {
	const op = "Torrent.LargestFile"
	files, err := t.files(op)
	if err != nil {
		return File{}, err
	}
	found := -1
	for i, file := range files {
		if file.Flags&(FilePad|FileSymlink) == 0 && (found < 0 || file.Length > files[found].Length) {
			found = i
		}
	}
	if found < 0 {
		return File{}, &Error{Op: op, Code: ErrNotFound, Message: "the torrent has padding and symlinks alone"}
	}
	return files[found], nil
}

// FileProgress gives how much of each file is there: bytes in verified pieces. Errors: [ErrNoMetadata].
func (t *Torrent) FileProgress() ([]uint64, error) {
	s, index := t.raw()
	progress, err := s.FileProgress(index)
	return progress, wrap("Torrent.FileProgress", err)
}

// A Tracker is a tracker of a torrent.
type Tracker struct {
	// It may hold a passkey: keep it out of logs.
	URL string
	// 0 is asked first, where tiers are asked one after the other.
	Tier int
	// Failures since it last answered.
	Fails int
	// An announce is under way.
	Updating bool
	// It has answered.
	Verified bool
	Enabled  bool
	// Peers in its last answer; seeds and others, as it counts them. -1: unknown.
	Peers, Seeds, Leechers int
	// Until it is told again, negative where that is not planned.
	NextAnnounce time.Duration
	// What it said last, and why it failed last; or empty.
	Message, LastError string
}

// Trackers gives the torrent's trackers, by tier.
func (t *Torrent) Trackers() ([]Tracker, error) {
	s, index := t.raw()
	return list("Torrent.Trackers", index, s.Trackers, func(record capi.Record, raw *capi.TrackerInfo) Tracker {
		return Tracker{
			URL:          record.Text(raw.Url),
			Tier:         int(raw.Tier),
			Fails:        int(raw.Fails),
			Updating:     raw.Updating != 0,
			Verified:     raw.Verified != 0,
			Enabled:      raw.Enabled != 0,
			Peers:        int(raw.Num_peers),
			Seeds:        int(raw.Scrape_complete),
			Leechers:     int(raw.Scrape_incomplete),
			NextAnnounce: milliseconds(raw.Next_announce_ms),
			Message:      record.Text(raw.Message),
			LastError:    record.Text(raw.Last_error),
		}
	})
}

// AddTracker adds a tracker, which is told at once. One that is there already stays as it is. tier: 0 to 255. Errors:
// [ErrInvalidArgument] for a URL that is not http, https or udp.
func (t *Torrent) AddTracker(url string, tier int) error {
	const op = "Torrent.AddTracker"
	if err := checkTier(op, tier); err != nil {
		return err
	}
	s, index := t.raw()
	return wrap(op, s.AddTracker(index, url, int32(tier)))
}

const maxTier = 255

// checkTier is for a number that goes where C takes fewer bits.
func checkTier(op string, tier int) error {
	if tier < 0 || tier > maxTier {
		return invalid(op, "tier is %d, allowed is 0 to %d", tier, maxTier)
	}
	return nil
}

// A TrackerEntry is a tracker to be.
type TrackerEntry struct {
	// http, https or udp.
	URL string
	// 0 to 255.
	Tier int
}

// ReplaceTrackers replaces the trackers; none: it has none. On an error nothing has changed.
func (t *Torrent) ReplaceTrackers(trackers []TrackerEntry) error {
	const op = "Torrent.ReplaceTrackers"
	s, index := t.raw()
	entries := make([]capi.TrackerEntry, len(trackers))
	for i, tracker := range trackers {
		if err := checkTier(op, tracker.Tier); err != nil {
			return err
		}
		entries[i] = capi.TrackerEntry{URL: tracker.URL, Tier: int32(tracker.Tier)}
	}
	return wrap(op, s.ReplaceTrackers(index, entries))
}

// WebSeeds gives the URLs of the torrent's web seeds (BEP 19), as its file or magnet names them. This version fetches nothing from them.
func (t *Torrent) WebSeeds() ([]string, error) {
	s, index := t.raw()
	return list("Torrent.WebSeeds", index, s.WebSeeds, func(record capi.Record, raw *capi.WebSeedInfo) string {
		return record.Text(raw.Url)
	})
}

// A Peer is a connection of a torrent.
type Peer struct {
	// With no address, but a port, where only the host's name is known.
	Endpoint netip.AddrPort
	// The host's name by which it is dialled, at the proxy; empty where it is known by its address.
	Host string
	// What the connection runs over, a proxy among that.
	SocketType SocketType
	ID         [20]byte
	// Its name and version for itself.
	Client string
	Flags  PeerFlags
	Source PeerSource
	// Of all pieces, 0 to 1, that it has; and how many.
	Progress  float64
	NumPieces int
	// Bytes a second, protocol and payload.
	DownloadRate, UploadRate uint32
	// Bytes a second of pieces alone.
	PayloadDownloadRate, PayloadUploadRate uint32
	// Bytes of payload since it connected.
	Download, Upload uint64
	// Requests of ours that it has not answered, how many there should be, and bytes they will bring.
	DownloadQueue, TargetDownloadQueue int
	QueueBytes                         uint32
	// Requests of its that we have not answered.
	UploadQueue int
	// From a request to its block, 0: unknown.
	RTT time.Duration
	// Pieces that came in wrong and that it had a part in.
	HashFails int
	// Since it last sent anything, and since we last asked it for something.
	LastActive, LastRequest time.Duration
	// The piece and the block of it that is coming in now, -1: none; bytes of the block that are in, and that it has.
	DownloadingPiece                       PieceIndex
	DownloadingBlock                       int
	DownloadingProgress, DownloadingLength uint32
}

// Peers gives the torrent's connections, in no order.
func (t *Torrent) Peers() ([]Peer, error) {
	s, index := t.raw()
	return list("Torrent.Peers", index, s.Peers, func(record capi.Record, raw *capi.PeerInfo) Peer {
		at, host := endpoint(&raw.Endpoint), record.Text(raw.Host)
		if host != "" {
			at = netip.AddrPortFrom(netip.Addr{}, raw.Endpoint.Port)
		}
		return Peer{
			Endpoint:            at,
			Host:                host,
			SocketType:          SocketType(raw.Socket_type),
			ID:                  raw.Peer_id,
			Client:              record.Text(raw.Client),
			Flags:               PeerFlags(raw.Flags),
			Source:              PeerSource(raw.Source),
			Progress:            float64(raw.Progress_ppm) / 1e6,
			NumPieces:           int(raw.Num_pieces),
			DownloadRate:        raw.Down_speed,
			UploadRate:          raw.Up_speed,
			PayloadDownloadRate: raw.Payload_down_speed,
			PayloadUploadRate:   raw.Payload_up_speed,
			Download:            raw.Total_download,
			Upload:              raw.Total_upload,
			DownloadQueue:       int(raw.Download_queue_length),
			TargetDownloadQueue: int(raw.Target_dl_queue_length),
			QueueBytes:          raw.Queue_bytes,
			UploadQueue:         int(raw.Upload_queue_length),
			RTT:                 milliseconds(raw.Rtt_ms),
			HashFails:           int(raw.Num_hashfails),
			LastActive:          milliseconds(raw.Last_active_ms),
			LastRequest:         milliseconds(raw.Last_request_ms),
			DownloadingPiece:    PieceIndex(raw.Downloading_piece),
			DownloadingBlock:    int(raw.Downloading_block),
			DownloadingProgress: raw.Downloading_progress,
			DownloadingLength:   raw.Downloading_total,
		}
	})
}

// ConnectPeer dials a peer. What becomes of it, a [PeerConnect] or a [PeerDisconnected] tells. Errors: [ErrInvalidArgument].
func (t *Torrent) ConnectPeer(address netip.AddrPort) error {
	s, index := t.raw()
	return wrap("Torrent.ConnectPeer", s.ConnectPeer(index, address.String()))
}

// BanPeer bans an address from the torrent: its connections end, and no new ones are made or let in.
func (t *Torrent) BanPeer(address netip.Addr) error {
	s, index := t.raw()
	return wrap("Torrent.BanPeer", s.BanPeer(index, address.String()))
}

func endpoint(raw *capi.Endpoint) netip.AddrPort {
	switch raw.Family {
	case 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw.Address[:4])), raw.Port)
	case 6:
		return netip.AddrPortFrom(netip.AddrFrom16(raw.Address), raw.Port)
	}
	return netip.AddrPort{}
}

// list makes values of a buffer of records.
func list[R, V any](op string, index uint64, call func(uint64) ([]byte, *capi.Error), value func(capi.Record, *R) V) ([]V, error) {
	buffer, err := call(index)
	if err != nil {
		return nil, wrap(op, err)
	}
	var values []V
	for {
		record, rest, ok := capi.NextRecord(buffer)
		if !ok {
			return values, nil
		}
		values = append(values, value(record, capi.View[R](record)))
		buffer = rest
	}
}
