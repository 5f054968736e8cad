package torrent

import (
	"strconv"

	"elementum.example/torrent/internal/capi"
)

// enumName is a value's name, or its number where it has none.
func enumName[T ~int32 | ~uint8](value T, names map[T]string) string {
	if name, ok := names[value]; ok {
		return name
	}
	return strconv.Itoa(int(value))
}

// State is what a torrent is doing. The numbers are libtorrent's.
type State int32

// The states of torrents.
const (
	StateCheckingFiles       State = capi.TorrentStateCheckingFiles
	StateDownloadingMetadata State = capi.TorrentStateDownloadingMetadata
	StateDownloading         State = capi.TorrentStateDownloading
	StateFinished            State = capi.TorrentStateFinished
	StateSeeding             State = capi.TorrentStateSeeding
)

var stateNames = map[State]string{
	StateCheckingFiles:       "checking_files",
	StateDownloadingMetadata: "downloading_metadata",
	StateDownloading:         "downloading",
	StateFinished:            "finished",
	StateSeeding:             "seeding",
}

func (v State) String() string { return enumName(v, stateNames) }

// StorageKind is where a torrent's pieces live.
type StorageKind int32

// The kinds of storage. Default: as the setting "storage" says. Memory: within the session's limit. Disk: in files under the save path.
const (
	StorageDefault StorageKind = capi.StorageDefault
	StorageMemory  StorageKind = capi.StorageMemory
	StorageDisk    StorageKind = capi.StorageDisk
)

var storageKindNames = map[StorageKind]string{
	StorageDefault: "default",
	StorageMemory:  "memory",
	StorageDisk:    "disk",
}

func (v StorageKind) String() string { return enumName(v, storageKindNames) }

// Operation is what was being done when an error came up. The numbers are libtorrent's.
type Operation int32

// The operations.
const (
	OperationUnknown        Operation = capi.OperationUnknown
	OperationBittorrent     Operation = capi.OperationBittorrent
	OperationFileWrite      Operation = capi.OperationFileWrite
	OperationFileRead       Operation = capi.OperationFileRead
	OperationFile           Operation = capi.OperationFile
	OperationSockWrite      Operation = capi.OperationSockWrite
	OperationSockRead       Operation = capi.OperationSockRead
	OperationSockOpen       Operation = capi.OperationSockOpen
	OperationSockBind       Operation = capi.OperationSockBind
	OperationEncryption     Operation = capi.OperationEncryption
	OperationConnect        Operation = capi.OperationConnect
	OperationSSLHandshake   Operation = capi.OperationSslHandshake
	OperationSockListen     Operation = capi.OperationSockListen
	OperationSockAccept     Operation = capi.OperationSockAccept
	OperationParseAddress   Operation = capi.OperationParseAddress
	OperationFileStat       Operation = capi.OperationFileStat
	OperationFileFallocate  Operation = capi.OperationFileFallocate
	OperationFileRemove     Operation = capi.OperationFileRemove
	OperationFileRename     Operation = capi.OperationFileRename
	OperationFileOpen       Operation = capi.OperationFileOpen
	OperationMkdir          Operation = capi.OperationMkdir
	OperationCheckResume    Operation = capi.OperationCheckResume
	OperationException      Operation = capi.OperationException
	OperationHostnameLookup Operation = capi.OperationHostnameLookup
	OperationHandshake      Operation = capi.OperationHandshake
	OperationSockOption     Operation = capi.OperationSockOption
	OperationFileTruncate   Operation = capi.OperationFileTruncate
)

var operationNames = map[Operation]string{
	OperationUnknown:        "unknown",
	OperationBittorrent:     "bittorrent",
	OperationFileWrite:      "file_write",
	OperationFileRead:       "file_read",
	OperationFile:           "file",
	OperationSockWrite:      "sock_write",
	OperationSockRead:       "sock_read",
	OperationSockOpen:       "sock_open",
	OperationSockBind:       "sock_bind",
	OperationEncryption:     "encryption",
	OperationConnect:        "connect",
	OperationSSLHandshake:   "ssl_handshake",
	OperationSockListen:     "sock_listen",
	OperationSockAccept:     "sock_accept",
	OperationParseAddress:   "parse_address",
	OperationFileStat:       "file_stat",
	OperationFileFallocate:  "file_fallocate",
	OperationFileRemove:     "file_remove",
	OperationFileRename:     "file_rename",
	OperationFileOpen:       "file_open",
	OperationMkdir:          "mkdir",
	OperationCheckResume:    "check_resume",
	OperationException:      "exception",
	OperationHostnameLookup: "hostname_lookup",
	OperationHandshake:      "handshake",
	OperationSockOption:     "sock_option",
	OperationFileTruncate:   "file_truncate",
}

func (v Operation) String() string { return enumName(v, operationNames) }

// CloseReason is why a connection ended. The numbers are libtorrent's.
type CloseReason int32

// The reasons.
const (
	CloseNone                    CloseReason = capi.CloseNone
	CloseDuplicatePeerID         CloseReason = capi.CloseDuplicatePeerId
	CloseTorrentRemoved          CloseReason = capi.CloseTorrentRemoved
	CloseNoMemory                CloseReason = capi.CloseNoMemory
	ClosePortBlocked             CloseReason = capi.ClosePortBlocked
	CloseBlocked                 CloseReason = capi.CloseBlocked
	CloseUploadToUpload          CloseReason = capi.CloseUploadToUpload
	CloseNotInterestedUploadOnly CloseReason = capi.CloseNotInterestedUploadOnly
	CloseTimeout                 CloseReason = capi.CloseTimeout
	CloseTimedOutInterest        CloseReason = capi.CloseTimedOutInterest
	CloseTimedOutActivity        CloseReason = capi.CloseTimedOutActivity
	CloseTimedOutHandshake       CloseReason = capi.CloseTimedOutHandshake
	CloseTimedOutRequest         CloseReason = capi.CloseTimedOutRequest
	CloseProtocolBlocked         CloseReason = capi.CloseProtocolBlocked
	ClosePeerChurn               CloseReason = capi.ClosePeerChurn
	CloseTooManyConnections      CloseReason = capi.CloseTooManyConnections
	CloseEncryptionError         CloseReason = capi.CloseEncryptionError
	CloseInvalidInfoHash         CloseReason = capi.CloseInvalidInfoHash
	CloseSelfConnection          CloseReason = capi.CloseSelfConnection
	CloseInvalidMetadata         CloseReason = capi.CloseInvalidMetadata
	CloseMetadataTooBig          CloseReason = capi.CloseMetadataTooBig
	CloseMessageTooBig           CloseReason = capi.CloseMessageTooBig
	CloseInvalidMessage          CloseReason = capi.CloseInvalidMessage
	CloseCorruptData             CloseReason = capi.CloseCorruptData
)

var closeReasonNames = map[CloseReason]string{
	CloseNone:                    "none",
	CloseDuplicatePeerID:         "duplicate_peer_id",
	CloseTorrentRemoved:          "torrent_removed",
	CloseNoMemory:                "no_memory",
	ClosePortBlocked:             "port_blocked",
	CloseBlocked:                 "blocked",
	CloseUploadToUpload:          "upload_to_upload",
	CloseNotInterestedUploadOnly: "not_interested_upload_only",
	CloseTimeout:                 "timeout",
	CloseTimedOutInterest:        "timed_out_interest",
	CloseTimedOutActivity:        "timed_out_activity",
	CloseTimedOutHandshake:       "timed_out_handshake",
	CloseTimedOutRequest:         "timed_out_request",
	CloseProtocolBlocked:         "protocol_blocked",
	ClosePeerChurn:               "peer_churn",
	CloseTooManyConnections:      "too_many_connections",
	CloseEncryptionError:         "encryption_error",
	CloseInvalidInfoHash:         "invalid_info_hash",
	CloseSelfConnection:          "self_connection",
	CloseInvalidMetadata:         "invalid_metadata",
	CloseMetadataTooBig:          "metadata_too_big",
	CloseMessageTooBig:           "message_too_big",
	CloseInvalidMessage:          "invalid_message",
	CloseCorruptData:             "corrupt_data",
}

func (v CloseReason) String() string { return enumName(v, closeReasonNames) }

// SocketType is what a connection runs over.
type SocketType int32

// The types of sockets.
const (
	SocketTcp    SocketType = capi.SocketTcp
	SocketSocks5 SocketType = capi.SocketSocks5
	SocketHttp   SocketType = capi.SocketHttp
	SocketUtp    SocketType = capi.SocketUtp
)

var socketTypeNames = map[SocketType]string{
	SocketTcp:    "tcp",
	SocketSocks5: "socks5",
	SocketHttp:   "http",
	SocketUtp:    "utp",
}

func (v SocketType) String() string { return enumName(v, socketTypeNames) }

// Direction is who dialled whom.
type Direction int32

// In: a peer came to us. Out: we went to a peer.
const (
	DirectionIn  Direction = capi.DirectionIn
	DirectionOut Direction = capi.DirectionOut
)

var directionNames = map[Direction]string{
	DirectionIn:  "in",
	DirectionOut: "out",
}

func (v Direction) String() string { return enumName(v, directionNames) }

// AnnounceEvent is what a tracker is told.
type AnnounceEvent int32

// The events of announces (BEP 3).
const (
	EventNone      AnnounceEvent = capi.EventNone
	EventCompleted AnnounceEvent = capi.EventCompleted
	EventStarted   AnnounceEvent = capi.EventStarted
	EventStopped   AnnounceEvent = capi.EventStopped
)

var announceEventNames = map[AnnounceEvent]string{
	EventNone:      "none",
	EventCompleted: "completed",
	EventStarted:   "started",
	EventStopped:   "stopped",
}

func (v AnnounceEvent) String() string { return enumName(v, announceEventNames) }

// BlockedReason is why a peer is blocked. The numbers are libtorrent's.
type BlockedReason int32

// The reasons.
const (
	// [Session.SetPortFilter] blocks its port.
	BlockedPortFilter BlockedReason = capi.BlockedPortFilter
	// Its port is below 1024, and the setting "no_connect_privileged_ports" is on.
	BlockedPrivilegedPorts BlockedReason = capi.BlockedPrivilegedPorts
	// It came by uTP, and the setting "enable_incoming_utp" is off.
	BlockedUTPDisabled BlockedReason = capi.BlockedUtpDisabled
	// It came by TCP in the moment in which the setting "enable_incoming_tcp" was switched off.
	BlockedTCPDisabled BlockedReason = capi.BlockedTcpDisabled
)

var blockedReasonNames = map[BlockedReason]string{
	BlockedPortFilter:      "port_filter",
	BlockedPrivilegedPorts: "privileged_ports",
	BlockedUTPDisabled:     "utp_disabled",
	BlockedTCPDisabled:     "tcp_disabled",
}

func (v BlockedReason) String() string { return enumName(v, blockedReasonNames) }

// PerformanceWarning is what slows the session down.
type PerformanceWarning int32

// The warnings.
const (
	PerformanceMemoryLimitTooLow PerformanceWarning = capi.PerformanceMemoryLimitTooLow
)

var performanceWarningNames = map[PerformanceWarning]string{
	PerformanceMemoryLimitTooLow: "memory_limit_too_low",
}

func (v PerformanceWarning) String() string { return enumName(v, performanceWarningNames) }

// Reason is why a reader's byte is not here.
type Reason int32

// The reasons.
const (
	// The byte is here; the reader is at the end of its file.
	ReasonReady     Reason = capi.ReasonReady
	ReasonEndOfFile Reason = capi.ReasonEndOfFile
	// All of its piece is here, and being hashed.
	ReasonVerifying Reason = capi.ReasonVerifying
	// The torrent stands still.
	ReasonError         Reason = capi.ReasonError
	ReasonTorrentPaused Reason = capi.ReasonTorrentPaused
	ReasonSessionPaused Reason = capi.ReasonSessionPaused
	ReasonCheckingFiles Reason = capi.ReasonCheckingFiles
	ReasonUploadMode    Reason = capi.ReasonUploadMode
	// The reader has not read for long, others of its torrent have, and the memory is theirs. Its next read changes that.
	ReasonReaderAsleep Reason = capi.ReasonReaderAsleep
	// No peer can be asked: none is here, none has the piece, all that have it choke us, or refused it.
	ReasonNoPeers     Reason = capi.ReasonNoPeers
	ReasonNoPeerHasIt Reason = capi.ReasonNoPeerHasIt
	ReasonChoked      Reason = capi.ReasonChoked
	ReasonRefused     Reason = capi.ReasonRefused
	// It was asked for: of peers that have not sent anything for long, of others, or a download limit holds back what comes.
	ReasonSnubbed       Reason = capi.ReasonSnubbed
	ReasonRequested     Reason = capi.ReasonRequested
	ReasonDownloadLimit Reason = capi.ReasonDownloadLimit
	// Peers would send it, but other blocks were asked of them first; or there is no memory to ask for it.
	ReasonQueued     Reason = capi.ReasonQueued
	ReasonMemoryFull Reason = capi.ReasonMemoryFull
)

var reasonNames = map[Reason]string{
	ReasonReady:         "ready",
	ReasonEndOfFile:     "end_of_file",
	ReasonVerifying:     "verifying",
	ReasonError:         "error",
	ReasonTorrentPaused: "torrent_paused",
	ReasonSessionPaused: "session_paused",
	ReasonCheckingFiles: "checking_files",
	ReasonUploadMode:    "upload_mode",
	ReasonReaderAsleep:  "reader_asleep",
	ReasonNoPeers:       "no_peers",
	ReasonNoPeerHasIt:   "no_peer_has_it",
	ReasonChoked:        "choked",
	ReasonRefused:       "refused",
	ReasonSnubbed:       "snubbed",
	ReasonRequested:     "requested",
	ReasonDownloadLimit: "download_limit",
	ReasonQueued:        "queued",
	ReasonMemoryFull:    "memory_full",
}

func (v Reason) String() string { return enumName(v, reasonNames) }

// BlockState is what a block of a piece is.
type BlockState uint8

// The states of blocks.
const (
	BlockNone      BlockState = capi.BlockNone
	BlockRequested BlockState = capi.BlockRequested
	BlockWriting   BlockState = capi.BlockWriting
	BlockFinished  BlockState = capi.BlockFinished
)

var blockStateNames = map[BlockState]string{
	BlockNone:      "none",
	BlockRequested: "requested",
	BlockWriting:   "writing",
	BlockFinished:  "finished",
}

func (v BlockState) String() string { return enumName(v, blockStateNames) }
