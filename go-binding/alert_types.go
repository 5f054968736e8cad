package torrent

import (
	"net/netip"

	"elementum.example/torrent/internal/capi"
)

// The types of alerts. An alert of TypeX is an *X. The numbers are libtorrent's; ours begin at 1000.
const (
	TypeAddTorrent          AlertType = capi.AlertAddTorrent
	TypeTorrentRemoved      AlertType = capi.AlertTorrentRemoved
	TypeTorrentDeleted      AlertType = capi.AlertTorrentDeleted
	TypeTorrentDeleteFailed AlertType = capi.AlertTorrentDeleteFailed
	TypeStateChanged        AlertType = capi.AlertStateChanged
	TypeTorrentPaused       AlertType = capi.AlertTorrentPaused
	TypeTorrentResumed      AlertType = capi.AlertTorrentResumed
	TypeTorrentChecked      AlertType = capi.AlertTorrentChecked
	TypeTorrentFinished     AlertType = capi.AlertTorrentFinished
	TypeTorrentError        AlertType = capi.AlertTorrentError
	TypeFileError           AlertType = capi.AlertFileError
	TypeMetadataReceived    AlertType = capi.AlertMetadataReceived
	TypeMetadataFailed      AlertType = capi.AlertMetadataFailed
	TypeFileCompleted       AlertType = capi.AlertFileCompleted
	TypePieceFinished       AlertType = capi.AlertPieceFinished
	TypeHashFailed          AlertType = capi.AlertHashFailed
	TypePieceEvicted        AlertType = capi.AlertPieceEvicted
	TypePeerConnect         AlertType = capi.AlertPeerConnect
	TypePeerDisconnected    AlertType = capi.AlertPeerDisconnected
	TypePeerBan             AlertType = capi.AlertPeerBan
	TypePeerSnubbed         AlertType = capi.AlertPeerSnubbed
	TypePeerUnsnubbed       AlertType = capi.AlertPeerUnsnubbed
	TypePeerBlocked         AlertType = capi.AlertPeerBlocked
	TypeTrackerAnnounce     AlertType = capi.AlertTrackerAnnounce
	TypeTrackerReply        AlertType = capi.AlertTrackerReply
	TypeTrackerWarning      AlertType = capi.AlertTrackerWarning
	TypeTrackerError        AlertType = capi.AlertTrackerError
	TypeDHTReply            AlertType = capi.AlertDhtReply
	TypeDHTBootstrap        AlertType = capi.AlertDhtBootstrap
	TypeListenSucceeded     AlertType = capi.AlertListenSucceeded
	TypeListenFailed        AlertType = capi.AlertListenFailed
	TypeExternalIP          AlertType = capi.AlertExternalIp
	TypeUDPError            AlertType = capi.AlertUdpError
	TypeSocks5              AlertType = capi.AlertSocks5
	TypePerformance         AlertType = capi.AlertPerformance
	TypeReaderReady         AlertType = capi.AlertReaderReady
	TypeReaderStalled       AlertType = capi.AlertReaderStalled
	TypePrebufferProgress   AlertType = capi.AlertPrebufferProgress
	TypeMemoryPressure      AlertType = capi.AlertMemoryPressure
	TypeAlertsDropped       AlertType = capi.AlertAlertsDropped
)

// alertKinds makes an alert of each type.
var alertKinds = map[AlertType]func() decoder{
	TypeAddTorrent:          func() decoder { return new(AddTorrent) },
	TypeTorrentRemoved:      func() decoder { return new(TorrentRemoved) },
	TypeTorrentDeleted:      func() decoder { return new(TorrentDeleted) },
	TypeTorrentDeleteFailed: func() decoder { return new(TorrentDeleteFailed) },
	TypeStateChanged:        func() decoder { return new(StateChanged) },
	TypeTorrentPaused:       func() decoder { return new(TorrentPaused) },
	TypeTorrentResumed:      func() decoder { return new(TorrentResumed) },
	TypeTorrentChecked:      func() decoder { return new(TorrentChecked) },
	TypeTorrentFinished:     func() decoder { return new(TorrentFinished) },
	TypeTorrentError:        func() decoder { return new(TorrentError) },
	TypeFileError:           func() decoder { return new(FileError) },
	TypeMetadataReceived:    func() decoder { return new(MetadataReceived) },
	TypeMetadataFailed:      func() decoder { return new(MetadataFailed) },
	TypeFileCompleted:       func() decoder { return new(FileCompleted) },
	TypePieceFinished:       func() decoder { return new(PieceFinished) },
	TypeHashFailed:          func() decoder { return new(HashFailed) },
	TypePieceEvicted:        func() decoder { return new(PieceEvicted) },
	TypePeerConnect:         func() decoder { return new(PeerConnect) },
	TypePeerDisconnected:    func() decoder { return new(PeerDisconnected) },
	TypePeerBan:             func() decoder { return new(PeerBan) },
	TypePeerSnubbed:         func() decoder { return new(PeerSnubbed) },
	TypePeerUnsnubbed:       func() decoder { return new(PeerUnsnubbed) },
	TypePeerBlocked:         func() decoder { return new(PeerBlocked) },
	TypeTrackerAnnounce:     func() decoder { return new(TrackerAnnounce) },
	TypeTrackerReply:        func() decoder { return new(TrackerReply) },
	TypeTrackerWarning:      func() decoder { return new(TrackerWarning) },
	TypeTrackerError:        func() decoder { return new(TrackerError) },
	TypeDHTReply:            func() decoder { return new(DHTReply) },
	TypeDHTBootstrap:        func() decoder { return new(DHTBootstrap) },
	TypeListenSucceeded:     func() decoder { return new(ListenSucceeded) },
	TypeListenFailed:        func() decoder { return new(ListenFailed) },
	TypeExternalIP:          func() decoder { return new(ExternalIP) },
	TypeUDPError:            func() decoder { return new(UDPError) },
	TypeSocks5:              func() decoder { return new(Socks5) },
	TypePerformance:         func() decoder { return new(Performance) },
	TypeReaderReady:         func() decoder { return new(ReaderReady) },
	TypeReaderStalled:       func() decoder { return new(ReaderStalled) },
	TypePrebufferProgress:   func() decoder { return new(PrebufferProgress) },
	TypeMemoryPressure:      func() decoder { return new(MemoryPressure) },
	TypeAlertsDropped:       func() decoder { return new(AlertsDropped) },
}

// AddTorrent tells that a torrent was added, or could not be. Every [Session.AddTorrent] that reaches the library has one; where the torrent
// was there already, it is of the one that is there.
type AddTorrent struct {
	AlertBase
	InfoHashes InfoHashes
	// As far as it is known: a magnet's may be empty.
	Name string
	// Nil where it was added.
	Err error
}

func (a *AddTorrent) decode(record capi.Record) {
	r := capi.View[capi.AddTorrentAlert](record)
	a.record = record
	a.InfoHashes = infoHashes(&r.Hashes)
	a.Name = record.Text(r.Name)
	a.Err = alertError(record, &r.Error)
}

// TorrentRemoved tells that a torrent is gone, and its storage index with it; its files are closed.
type TorrentRemoved struct {
	AlertBase
	InfoHashes InfoHashes
}

func (a *TorrentRemoved) decode(record capi.Record) {
	r := capi.View[capi.TorrentRemovedAlert](record)
	a.record = record
	a.InfoHashes = infoHashes(&r.Hashes)
}

// TorrentDeleted tells that the files of a removed torrent are deleted. It follows the [TorrentRemoved].
type TorrentDeleted struct {
	AlertBase
	InfoHashes InfoHashes
}

func (a *TorrentDeleted) decode(record capi.Record) {
	r := capi.View[capi.TorrentDeletedAlert](record)
	a.record = record
	a.InfoHashes = infoHashes(&r.Hashes)
}

// TorrentDeleteFailed tells that some files of a removed torrent are still there.
type TorrentDeleteFailed struct {
	AlertBase
	InfoHashes InfoHashes
	Err        error
}

func (a *TorrentDeleteFailed) decode(record capi.Record) {
	r := capi.View[capi.TorrentDeleteFailedAlert](record)
	a.record = record
	a.InfoHashes = infoHashes(&r.Hashes)
	a.Err = alertError(record, &r.Error)
}

// StateChanged tells that a torrent's state changed.
type StateChanged struct {
	AlertBase
	State     State
	PrevState State
}

func (a *StateChanged) decode(record capi.Record) {
	r := capi.View[capi.StateChangedAlert](record)
	a.record = record
	a.State = State(r.State)
	a.PrevState = State(r.Prev_state)
}

// TorrentPaused tells that a torrent is paused.
type TorrentPaused struct {
	AlertBase
}

// TorrentResumed tells that a torrent runs again.
type TorrentResumed struct {
	AlertBase
}

// TorrentChecked tells that what a torrent had on disk has been checked.
type TorrentChecked struct {
	AlertBase
}

// TorrentFinished tells that every wanted piece is there. Comes again after evicted pieces were fetched again.
type TorrentFinished struct {
	AlertBase
}

// TorrentError tells that a torrent stopped with an error.
type TorrentError struct {
	AlertBase
	Err error
	// The file that it is about, or empty.
	Filename string
}

func (a *TorrentError) decode(record capi.Record) {
	r := capi.View[capi.TorrentErrorAlert](record)
	a.record = record
	a.Err = alertError(record, &r.Error)
	a.Filename = record.Text(r.Filename)
}

// FileError tells that reading or writing a file failed. Its torrent stops: a [TorrentError] follows.
type FileError struct {
	AlertBase
	Err error
	// The file, in the form of [File].Path; empty where it is about none of them.
	Filename string
}

func (a *FileError) decode(record capi.Record) {
	r := capi.View[capi.FileErrorAlert](record)
	a.record = record
	a.Err = alertError(record, &r.Error)
	a.Filename = record.Text(r.Filename)
}

// MetadataReceived tells that a magnet's metadata is here: files, pieces and readers can be had.
type MetadataReceived struct {
	AlertBase
}

// MetadataFailed tells that the metadata that peers sent was no good. If it was not what the info-hash stands for, others are asked; if it
// was and cannot be used, the torrent stops, with a [TorrentError].
type MetadataFailed struct {
	AlertBase
	Err error
}

func (a *MetadataFailed) decode(record capi.Record) {
	r := capi.View[capi.MetadataFailedAlert](record)
	a.record = record
	a.Err = alertError(record, &r.Error)
}

// FileCompleted tells that all pieces of a file are there.
type FileCompleted struct {
	AlertBase
	File FileIndex
}

func (a *FileCompleted) decode(record capi.Record) {
	r := capi.View[capi.FileCompletedAlert](record)
	a.record = record
	a.File = FileIndex(r.File)
}

// PieceFinished tells that a piece is there and verified.
type PieceFinished struct {
	AlertBase
	Piece PieceIndex
}

func (a *PieceFinished) decode(record capi.Record) {
	r := capi.View[capi.PieceFinishedAlert](record)
	a.record = record
	a.Piece = PieceIndex(r.Piece)
}

// HashFailed tells that a piece came in wrong, and is fetched again.
type HashFailed struct {
	AlertBase
	Piece PieceIndex
}

func (a *HashFailed) decode(record capi.Record) {
	r := capi.View[capi.HashFailedAlert](record)
	a.record = record
	a.Piece = PieceIndex(r.Piece)
}

// PieceEvicted tells that a piece left memory for others. It is fetched again when it is wanted.
type PieceEvicted struct {
	AlertBase
	Piece PieceIndex
}

func (a *PieceEvicted) decode(record capi.Record) {
	r := capi.View[capi.PieceEvictedAlert](record)
	a.record = record
	a.Piece = PieceIndex(r.Piece)
}

// PeerConnect tells that a peer's handshake is done.
type PeerConnect struct {
	AlertBase
	Endpoint   netip.AddrPort
	PeerID     [20]byte
	Direction  Direction
	SocketType SocketType
}

func (a *PeerConnect) decode(record capi.Record) {
	r := capi.View[capi.PeerConnectAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.PeerID = r.Peer_id
	a.Direction = Direction(r.Direction)
	a.SocketType = SocketType(r.Socket_type)
}

// PeerDisconnected tells that a connection ended.
type PeerDisconnected struct {
	AlertBase
	Endpoint netip.AddrPort
	// Zeros where the handshake was never done.
	PeerID     [20]byte
	SocketType SocketType
	// What was being done.
	Operation Operation
	Reason    CloseReason
	// Nil where the end was not an error.
	Err error
}

func (a *PeerDisconnected) decode(record capi.Record) {
	r := capi.View[capi.PeerDisconnectedAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.PeerID = r.Peer_id
	a.SocketType = SocketType(r.Socket_type)
	a.Operation = Operation(r.Operation)
	a.Reason = CloseReason(r.Reason)
	a.Err = alertError(record, &r.Error)
}

// PeerBan tells that a peer is banned from its torrent, for the bad data it sent or by a call.
type PeerBan struct {
	AlertBase
	Endpoint netip.AddrPort
	PeerID   [20]byte
}

func (a *PeerBan) decode(record capi.Record) {
	r := capi.View[capi.PeerBanAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.PeerID = r.Id
}

// PeerSnubbed tells that a peer does not send what it was asked for.
type PeerSnubbed struct {
	AlertBase
	Endpoint netip.AddrPort
	PeerID   [20]byte
}

func (a *PeerSnubbed) decode(record capi.Record) {
	r := capi.View[capi.PeerSnubbedAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.PeerID = r.Id
}

// PeerUnsnubbed tells that a snubbed peer sends again.
type PeerUnsnubbed struct {
	AlertBase
	Endpoint netip.AddrPort
	PeerID   [20]byte
}

func (a *PeerUnsnubbed) decode(record capi.Record) {
	r := capi.View[capi.PeerUnsnubbedAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.PeerID = r.Id
}

// PeerBlocked tells that a peer is not dialled, is disconnected, or is not let in, for what the settings or [Session.SetPortFilter] say. It comes
// for those that a tracker, the DHT, other peers or the program name, and for those that come; not for each: ten a second and a hundred at once at
// most of a session, and fifty of one answer. A banned peer has a PeerBan instead.
type PeerBlocked struct {
	AlertBase
	Endpoint netip.AddrPort
	Reason   BlockedReason
}

func (a *PeerBlocked) decode(record capi.Record) {
	r := capi.View[capi.PeerBlockedAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.Reason = BlockedReason(r.Reason)
}

// TrackerAnnounce tells that a tracker is being told of us.
type TrackerAnnounce struct {
	AlertBase
	// As [Torrent.Trackers] gives it. It may hold a passkey, which the alert's Message leaves out.
	URL   string
	Event AnnounceEvent
}

func (a *TrackerAnnounce) decode(record capi.Record) {
	r := capi.View[capi.TrackerAnnounceAlert](record)
	a.record = record
	a.URL = record.Text(r.Url)
	a.Event = AnnounceEvent(r.Event)
}

// TrackerReply tells that a tracker answered.
type TrackerReply struct {
	AlertBase
	// As [Torrent.Trackers] gives it. It may hold a passkey, which the alert's Message leaves out.
	URL string
	// Peers in the answer.
	NumPeers int
}

func (a *TrackerReply) decode(record capi.Record) {
	r := capi.View[capi.TrackerReplyAlert](record)
	a.record = record
	a.URL = record.Text(r.Url)
	a.NumPeers = int(r.Peers)
}

// TrackerWarning tells that a tracker answered, with a warning.
type TrackerWarning struct {
	AlertBase
	// As [Torrent.Trackers] gives it. It may hold a passkey, which the alert's Message leaves out.
	URL     string
	Warning string
}

func (a *TrackerWarning) decode(record capi.Record) {
	r := capi.View[capi.TrackerWarningAlert](record)
	a.record = record
	a.URL = record.Text(r.Url)
	a.Warning = record.Text(r.Message)
}

// TrackerError tells that a tracker did not answer, or refused.
type TrackerError struct {
	AlertBase
	// As [Torrent.Trackers] gives it. It may hold a passkey, which the alert's Message leaves out.
	URL string
	// Failures since it last answered.
	TimesInRow int
	Err        error
	// What the tracker said, or empty.
	FailureReason string
}

func (a *TrackerError) decode(record capi.Record) {
	r := capi.View[capi.TrackerErrorAlert](record)
	a.record = record
	a.URL = record.Text(r.Url)
	a.TimesInRow = int(r.Times_in_row)
	a.Err = alertError(record, &r.Error)
	a.FailureReason = record.Text(r.Failure_reason)
}

// DHTReply tells that the DHT found peers.
type DHTReply struct {
	AlertBase
	NumPeers int
}

func (a *DHTReply) decode(record capi.Record) {
	r := capi.View[capi.DHTReplyAlert](record)
	a.record = record
	a.NumPeers = int(r.Peers)
}

// DHTBootstrap tells that the DHT is joined.
type DHTBootstrap struct {
	AlertBase
}

// ListenSucceeded tells that a socket listens.
type ListenSucceeded struct {
	AlertBase
	// With the port that was really taken.
	Endpoint   netip.AddrPort
	SocketType SocketType
}

func (a *ListenSucceeded) decode(record capi.Record) {
	r := capi.View[capi.ListenSucceededAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.SocketType = SocketType(r.Type)
}

// ListenFailed tells that a socket could not listen.
type ListenFailed struct {
	AlertBase
	// Zero where it did not come to an address.
	Endpoint   netip.AddrPort
	SocketType SocketType
	// The entry of the setting "listen_interfaces".
	Interface string
	Err       error
}

func (a *ListenFailed) decode(record capi.Record) {
	r := capi.View[capi.ListenFailedAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.SocketType = SocketType(r.Socket_type)
	a.Interface = record.Text(r.Interface_name)
	a.Err = alertError(record, &r.Error)
}

// Socks5 tells that the proxy, of whichever proxy_type, does not work: it cannot be reached, refuses us, or is set without what it needs. It is tried again, after half a
// second and then ever less often, up to each five seconds, and nothing goes out round it. Told once until it works again.
type Socks5 struct {
	AlertBase
	Err error
}

func (a *Socks5) decode(record capi.Record) {
	r := capi.View[capi.Socks5Alert](record)
	a.record = record
	a.Err = alertError(record, &r.Error)
}

// UDPError tells that a UDP socket of the session's (uTP and UDP trackers) cannot send, or receive. It comes once a second and socket at most. That
// nobody is at an address, or no route leads to it, is no such error.
type UDPError struct {
	AlertBase
	// To whom it was to be sent; the socket's own where receiving failed.
	Endpoint netip.AddrPort
	Err      error
}

func (a *UDPError) decode(record capi.Record) {
	r := capi.View[capi.UDPErrorAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
	a.Err = alertError(record, &r.Error)
}

// ExternalIP tells that others see us at this address.
type ExternalIP struct {
	AlertBase
	// The port is 0.
	Endpoint netip.AddrPort
}

func (a *ExternalIP) decode(record capi.Record) {
	r := capi.View[capi.ExternalIPAlert](record)
	a.record = record
	a.Endpoint = endpoint(&r.Endpoint)
}

// Performance tells that something slows the session down.
type Performance struct {
	AlertBase
	Warning PerformanceWarning
}

func (a *Performance) decode(record capi.Record) {
	r := capi.View[capi.PerformanceAlert](record)
	a.record = record
	a.Warning = PerformanceWarning(r.Warning)
}

// ReaderReady tells that a reader that had nothing to read has something again.
type ReaderReady struct {
	AlertBase
	// Reader.ID of the reader.
	Reader uint64
	// Its position in the file, bytes.
	Offset int64
	File   FileIndex
}

func (a *ReaderReady) decode(record capi.Record) {
	r := capi.View[capi.ReaderReadyAlert](record)
	a.record = record
	a.Reader = r.Reader
	a.Offset = int64(r.Offset)
	a.File = FileIndex(r.File)
}

// ReaderStalled tells that a reader waits for a piece.
type ReaderStalled struct {
	AlertBase
	// Reader.ID of the reader.
	Reader uint64
	// Its position in the file, bytes.
	Offset int64
	File   FileIndex
	// The piece that it waits for.
	Piece PieceIndex
}

func (a *ReaderStalled) decode(record capi.Record) {
	r := capi.View[capi.ReaderStalledAlert](record)
	a.record = record
	a.Reader = r.Reader
	a.Offset = int64(r.Offset)
	a.File = FileIndex(r.File)
	a.Piece = PieceIndex(r.Piece)
}

// PrebufferProgress tells how far a reader's Prebuffer is.
type PrebufferProgress struct {
	AlertBase
	// Reader.ID of the reader.
	Reader uint64
	Done   int64
	Total  int64
	File   FileIndex
}

func (a *PrebufferProgress) decode(record capi.Record) {
	r := capi.View[capi.PrebufferProgressAlert](record)
	a.record = record
	a.Reader = r.Reader
	a.Done = int64(r.Done)
	a.Total = int64(r.Total)
	a.File = FileIndex(r.File)
}

// MemoryPressure tells that a read has waited for half a second or longer because memory is full: what is in it is worth as much, in this
// torrent or another, or is in flight. It comes once in ten seconds a torrent at most.
type MemoryPressure struct {
	AlertBase
	Limit int64
	// In use.
	Charged int64
	// What is still to be asked for of the pieces that its reads wait for.
	Needed int64
}

func (a *MemoryPressure) decode(record capi.Record) {
	r := capi.View[capi.MemoryPressureAlert](record)
	a.record = record
	a.Limit = int64(r.Limit_bytes)
	a.Charged = int64(r.Charged_bytes)
	a.Needed = int64(r.Needed_bytes)
}

// AlertsDropped tells that the queue was full.
type AlertsDropped struct {
	AlertBase
	// Alerts dropped since the last record of this type.
	Total uint64
	// How many of each type.
	Counts map[AlertType]int
}

func (a *AlertsDropped) decode(record capi.Record) {
	r := capi.View[capi.AlertsDroppedAlert](record)
	a.record = record
	a.Total = r.Total
	a.Counts = droppedCounts(record, r)
}
