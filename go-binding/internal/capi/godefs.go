//go:build ignore

// What `go generate` makes types.go of: the structs and constants of the header, as Go sees them.

package capi

/*
#include <elementum_torrent.h>
*/
import "C"

type (
	InfoHashes               C.et_info_hashes
	Endpoint                 C.et_endpoint
	SettingInfo              C.et_setting_info
	SessionStatsInfo         C.et_session_stats_info
	AlertBatch               C.et_alert_batch
	Alert                    C.et_alert
	MetadataInfo             C.et_metadata_info
	TorrentLimits            C.et_torrent_limits
	TorrentStatusInfo        C.et_torrent_status_info
	StorageStatsInfo         C.et_storage_stats_info
	LookbehindInfo           C.et_lookbehind_info
	ReaderOptions            C.et_reader_options
	ReaderStatusInfo         C.et_reader_status_info
	ReaderExplanation        C.et_reader_explanation
	Text                     C.et_text
	AlertError               C.et_alert_error
	DroppedCount             C.et_dropped_count
	AddTorrentAlert          C.et_add_torrent_alert
	TorrentRemovedAlert      C.et_torrent_removed_alert
	TorrentDeletedAlert      C.et_torrent_deleted_alert
	TorrentDeleteFailedAlert C.et_torrent_delete_failed_alert
	StateChangedAlert        C.et_state_changed_alert
	TorrentPausedAlert       C.et_torrent_paused_alert
	TorrentResumedAlert      C.et_torrent_resumed_alert
	TorrentCheckedAlert      C.et_torrent_checked_alert
	TorrentFinishedAlert     C.et_torrent_finished_alert
	TorrentErrorAlert        C.et_torrent_error_alert
	FileErrorAlert           C.et_file_error_alert
	MetadataReceivedAlert    C.et_metadata_received_alert
	MetadataFailedAlert      C.et_metadata_failed_alert
	FileCompletedAlert       C.et_file_completed_alert
	PieceFinishedAlert       C.et_piece_finished_alert
	HashFailedAlert          C.et_hash_failed_alert
	PieceEvictedAlert        C.et_piece_evicted_alert
	PeerConnectAlert         C.et_peer_connect_alert
	PeerDisconnectedAlert    C.et_peer_disconnected_alert
	PeerBanAlert             C.et_peer_ban_alert
	PeerSnubbedAlert         C.et_peer_snubbed_alert
	PeerUnsnubbedAlert       C.et_peer_unsnubbed_alert
	TrackerAnnounceAlert     C.et_tracker_announce_alert
	TrackerReplyAlert        C.et_tracker_reply_alert
	TrackerWarningAlert      C.et_tracker_warning_alert
	TrackerErrorAlert        C.et_tracker_error_alert
	DHTReplyAlert            C.et_dht_reply_alert
	DHTBootstrapAlert        C.et_dht_bootstrap_alert
	ListenSucceededAlert     C.et_listen_succeeded_alert
	ListenFailedAlert        C.et_listen_failed_alert
	ExternalIPAlert          C.et_external_ip_alert
	PeerBlockedAlert         C.et_peer_blocked_alert
	UDPErrorAlert            C.et_udp_error_alert
	Socks5Alert              C.et_socks5_alert
	PerformanceAlert         C.et_performance_alert
	ReaderReadyAlert         C.et_reader_ready_alert
	ReaderStalledAlert       C.et_reader_stalled_alert
	PrebufferProgressAlert   C.et_prebuffer_progress_alert
	MemoryPressureAlert      C.et_memory_pressure_alert
	AlertsDroppedAlert       C.et_alerts_dropped_alert
	FileInfo                 C.et_file_info
	PeerInfo                 C.et_peer_info
	TrackerInfo              C.et_tracker_info
	WebSeedInfo              C.et_web_seed_info
	PartialPieceInfo         C.et_partial_piece_info
)

const (
	VersionMajor                    = C.ET_VERSION_MAJOR
	VersionMinor                    = C.ET_VERSION_MINOR
	VersionPatch                    = C.ET_VERSION_PATCH
	AbiVersion                      = C.ET_ABI_VERSION
	ErrorMessageSize                = C.ET_ERROR_MESSAGE_SIZE
	ReaderNone                      = C.ET_READER_NONE
	Ok                              = C.ET_OK
	ErrInvalidArgument              = C.ET_ERR_INVALID_ARGUMENT
	ErrNullPointer                  = C.ET_ERR_NULL_POINTER
	ErrClosed                       = C.ET_ERR_CLOSED
	ErrInvalidStorageIndex          = C.ET_ERR_INVALID_STORAGE_INDEX
	ErrNotFound                     = C.ET_ERR_NOT_FOUND
	ErrDuplicateTorrent             = C.ET_ERR_DUPLICATE_TORRENT
	ErrNoMetadata                   = C.ET_ERR_NO_METADATA
	ErrBufferTooSmall               = C.ET_ERR_BUFFER_TOO_SMALL
	ErrWouldBlock                   = C.ET_ERR_WOULD_BLOCK
	ErrTimedOut                     = C.ET_ERR_TIMED_OUT
	ErrInterrupted                  = C.ET_ERR_INTERRUPTED
	ErrEndOfFile                    = C.ET_ERR_END_OF_FILE
	ErrBusy                         = C.ET_ERR_BUSY
	ErrParse                        = C.ET_ERR_PARSE
	ErrUnknownSetting               = C.ET_ERR_UNKNOWN_SETTING
	ErrIo                           = C.ET_ERR_IO
	ErrNetwork                      = C.ET_ERR_NETWORK
	ErrOutOfMemory                  = C.ET_ERR_OUT_OF_MEMORY
	ErrUnsupported                  = C.ET_ERR_UNSUPPORTED
	ErrPanic                        = C.ET_ERR_PANIC
	StorageIndexInvalid             = C.ET_STORAGE_INDEX_INVALID
	InfoHashV1                      = C.ET_INFO_HASH_V1
	InfoHashV2                      = C.ET_INFO_HASH_V2
	OperationUnknown                = C.ET_OPERATION_UNKNOWN
	OperationBittorrent             = C.ET_OPERATION_BITTORRENT
	OperationFileWrite              = C.ET_OPERATION_FILE_WRITE
	OperationFileRead               = C.ET_OPERATION_FILE_READ
	OperationFile                   = C.ET_OPERATION_FILE
	OperationSockWrite              = C.ET_OPERATION_SOCK_WRITE
	OperationSockRead               = C.ET_OPERATION_SOCK_READ
	OperationSockOpen               = C.ET_OPERATION_SOCK_OPEN
	OperationSockBind               = C.ET_OPERATION_SOCK_BIND
	OperationEncryption             = C.ET_OPERATION_ENCRYPTION
	OperationConnect                = C.ET_OPERATION_CONNECT
	OperationSslHandshake           = C.ET_OPERATION_SSL_HANDSHAKE
	OperationSockListen             = C.ET_OPERATION_SOCK_LISTEN
	OperationSockAccept             = C.ET_OPERATION_SOCK_ACCEPT
	OperationParseAddress           = C.ET_OPERATION_PARSE_ADDRESS
	OperationFileStat               = C.ET_OPERATION_FILE_STAT
	OperationFileFallocate          = C.ET_OPERATION_FILE_FALLOCATE
	OperationFileRemove             = C.ET_OPERATION_FILE_REMOVE
	OperationFileRename             = C.ET_OPERATION_FILE_RENAME
	OperationFileOpen               = C.ET_OPERATION_FILE_OPEN
	OperationMkdir                  = C.ET_OPERATION_MKDIR
	OperationCheckResume            = C.ET_OPERATION_CHECK_RESUME
	OperationException              = C.ET_OPERATION_EXCEPTION
	OperationHostnameLookup         = C.ET_OPERATION_HOSTNAME_LOOKUP
	OperationHandshake              = C.ET_OPERATION_HANDSHAKE
	OperationSockOption             = C.ET_OPERATION_SOCK_OPTION
	OperationFileTruncate           = C.ET_OPERATION_FILE_TRUNCATE
	TorrentStateCheckingFiles       = C.ET_TORRENT_STATE_CHECKING_FILES
	TorrentStateDownloadingMetadata = C.ET_TORRENT_STATE_DOWNLOADING_METADATA
	TorrentStateDownloading         = C.ET_TORRENT_STATE_DOWNLOADING
	TorrentStateFinished            = C.ET_TORRENT_STATE_FINISHED
	TorrentStateSeeding             = C.ET_TORRENT_STATE_SEEDING
	SocketTcp                       = C.ET_SOCKET_TCP
	SocketSocks5                    = C.ET_SOCKET_SOCKS5
	SocketHttp                      = C.ET_SOCKET_HTTP
	SocketUtp                       = C.ET_SOCKET_UTP
	DirectionIn                     = C.ET_DIRECTION_IN
	DirectionOut                    = C.ET_DIRECTION_OUT
	EventNone                       = C.ET_EVENT_NONE
	EventCompleted                  = C.ET_EVENT_COMPLETED
	EventStarted                    = C.ET_EVENT_STARTED
	EventStopped                    = C.ET_EVENT_STOPPED
	PerformanceMemoryLimitTooLow    = C.ET_PERFORMANCE_MEMORY_LIMIT_TOO_LOW
	CloseNone                       = C.ET_CLOSE_NONE
	CloseDuplicatePeerId            = C.ET_CLOSE_DUPLICATE_PEER_ID
	CloseTorrentRemoved             = C.ET_CLOSE_TORRENT_REMOVED
	CloseNoMemory                   = C.ET_CLOSE_NO_MEMORY
	ClosePortBlocked                = C.ET_CLOSE_PORT_BLOCKED
	CloseBlocked                    = C.ET_CLOSE_BLOCKED
	CloseUploadToUpload             = C.ET_CLOSE_UPLOAD_TO_UPLOAD
	CloseNotInterestedUploadOnly    = C.ET_CLOSE_NOT_INTERESTED_UPLOAD_ONLY
	CloseTimeout                    = C.ET_CLOSE_TIMEOUT
	CloseTimedOutInterest           = C.ET_CLOSE_TIMED_OUT_INTEREST
	CloseTimedOutActivity           = C.ET_CLOSE_TIMED_OUT_ACTIVITY
	CloseTimedOutHandshake          = C.ET_CLOSE_TIMED_OUT_HANDSHAKE
	CloseTimedOutRequest            = C.ET_CLOSE_TIMED_OUT_REQUEST
	CloseProtocolBlocked            = C.ET_CLOSE_PROTOCOL_BLOCKED
	ClosePeerChurn                  = C.ET_CLOSE_PEER_CHURN
	CloseTooManyConnections         = C.ET_CLOSE_TOO_MANY_CONNECTIONS
	CloseEncryptionError            = C.ET_CLOSE_ENCRYPTION_ERROR
	CloseInvalidInfoHash            = C.ET_CLOSE_INVALID_INFO_HASH
	CloseSelfConnection             = C.ET_CLOSE_SELF_CONNECTION
	CloseInvalidMetadata            = C.ET_CLOSE_INVALID_METADATA
	CloseMetadataTooBig             = C.ET_CLOSE_METADATA_TOO_BIG
	CloseMessageTooBig              = C.ET_CLOSE_MESSAGE_TOO_BIG
	CloseInvalidMessage             = C.ET_CLOSE_INVALID_MESSAGE
	CloseCorruptData                = C.ET_CLOSE_CORRUPT_DATA
	BlockedPortFilter               = C.ET_BLOCKED_PORT_FILTER
	BlockedPrivilegedPorts          = C.ET_BLOCKED_PRIVILEGED_PORTS
	BlockedUtpDisabled              = C.ET_BLOCKED_UTP_DISABLED
	BlockedTcpDisabled              = C.ET_BLOCKED_TCP_DISABLED
	PortBlocked                     = C.ET_PORT_BLOCKED
	PriorityDontDownload            = C.ET_PRIORITY_DONT_DOWNLOAD
	PriorityLow                     = C.ET_PRIORITY_LOW
	PriorityDefault                 = C.ET_PRIORITY_DEFAULT
	PriorityTop                     = C.ET_PRIORITY_TOP
	TorrentFlagUploadMode           = C.ET_TORRENT_FLAG_UPLOAD_MODE
	TorrentFlagPaused               = C.ET_TORRENT_FLAG_PAUSED
	TorrentFlagDuplicateIsError     = C.ET_TORRENT_FLAG_DUPLICATE_IS_ERROR
	TorrentFlagSequentialDownload   = C.ET_TORRENT_FLAG_SEQUENTIAL_DOWNLOAD
	TorrentFlagDisableDht           = C.ET_TORRENT_FLAG_DISABLE_DHT
	TorrentFlagDisablePex           = C.ET_TORRENT_FLAG_DISABLE_PEX
	TorrentFlagDefaultDontDownload  = C.ET_TORRENT_FLAG_DEFAULT_DONT_DOWNLOAD
	RemoveDeleteFiles               = C.ET_REMOVE_DELETE_FILES
	RemoveDeletePartfile            = C.ET_REMOVE_DELETE_PARTFILE
	StorageDefault                  = C.ET_STORAGE_DEFAULT
	StorageMemory                   = C.ET_STORAGE_MEMORY
	StorageDisk                     = C.ET_STORAGE_DISK
	PeerInteresting                 = C.ET_PEER_INTERESTING
	PeerChoked                      = C.ET_PEER_CHOKED
	PeerRemoteInterested            = C.ET_PEER_REMOTE_INTERESTED
	PeerRemoteChoked                = C.ET_PEER_REMOTE_CHOKED
	PeerSupportsExtensions          = C.ET_PEER_SUPPORTS_EXTENSIONS
	PeerOutgoing                    = C.ET_PEER_OUTGOING
	PeerOnParole                    = C.ET_PEER_ON_PAROLE
	PeerSeed                        = C.ET_PEER_SEED
	PeerOptimisticUnchoke           = C.ET_PEER_OPTIMISTIC_UNCHOKE
	PeerSnubbed                     = C.ET_PEER_SNUBBED
	PeerUploadOnly                  = C.ET_PEER_UPLOAD_ONLY
	PeerUtpSocket                   = C.ET_PEER_UTP_SOCKET
	PeerRc4Encrypted                = C.ET_PEER_RC4_ENCRYPTED
	PeerPlaintextEncrypted          = C.ET_PEER_PLAINTEXT_ENCRYPTED
	PeerSourceTracker               = C.ET_PEER_SOURCE_TRACKER
	PeerSourceDht                   = C.ET_PEER_SOURCE_DHT
	PeerSourcePex                   = C.ET_PEER_SOURCE_PEX
	PeerSourceLsd                   = C.ET_PEER_SOURCE_LSD
	PeerSourceResumeData            = C.ET_PEER_SOURCE_RESUME_DATA
	PeerSourceIncoming              = C.ET_PEER_SOURCE_INCOMING
	PeerSourceManual                = C.ET_PEER_SOURCE_MANUAL
	FilePad                         = C.ET_FILE_PAD
	FileHidden                      = C.ET_FILE_HIDDEN
	FileExecutable                  = C.ET_FILE_EXECUTABLE
	FileSymlink                     = C.ET_FILE_SYMLINK
	BlockNone                       = C.ET_BLOCK_NONE
	BlockRequested                  = C.ET_BLOCK_REQUESTED
	BlockWriting                    = C.ET_BLOCK_WRITING
	BlockFinished                   = C.ET_BLOCK_FINISHED
	AlertCategoryError              = C.ET_ALERT_CATEGORY_ERROR
	AlertCategoryPeer               = C.ET_ALERT_CATEGORY_PEER
	AlertCategoryPortMapping        = C.ET_ALERT_CATEGORY_PORT_MAPPING
	AlertCategoryStorage            = C.ET_ALERT_CATEGORY_STORAGE
	AlertCategoryTracker            = C.ET_ALERT_CATEGORY_TRACKER
	AlertCategoryConnect            = C.ET_ALERT_CATEGORY_CONNECT
	AlertCategoryStatus             = C.ET_ALERT_CATEGORY_STATUS
	AlertCategoryIpBlock            = C.ET_ALERT_CATEGORY_IP_BLOCK
	AlertCategoryPerformanceWarning = C.ET_ALERT_CATEGORY_PERFORMANCE_WARNING
	AlertCategoryDht                = C.ET_ALERT_CATEGORY_DHT
	AlertCategoryFileProgress       = C.ET_ALERT_CATEGORY_FILE_PROGRESS
	AlertCategoryPieceProgress      = C.ET_ALERT_CATEGORY_PIECE_PROGRESS
	AlertCategoryReader             = C.ET_ALERT_CATEGORY_READER
	AlertCategoryMemory             = C.ET_ALERT_CATEGORY_MEMORY
	AlertCategoryAll                = C.ET_ALERT_CATEGORY_ALL
	AlertTorrentRemoved             = C.ET_ALERT_TORRENT_REMOVED
	AlertFileCompleted              = C.ET_ALERT_FILE_COMPLETED
	AlertPerformance                = C.ET_ALERT_PERFORMANCE
	AlertStateChanged               = C.ET_ALERT_STATE_CHANGED
	AlertTrackerError               = C.ET_ALERT_TRACKER_ERROR
	AlertTrackerWarning             = C.ET_ALERT_TRACKER_WARNING
	AlertTrackerReply               = C.ET_ALERT_TRACKER_REPLY
	AlertDhtReply                   = C.ET_ALERT_DHT_REPLY
	AlertTrackerAnnounce            = C.ET_ALERT_TRACKER_ANNOUNCE
	AlertHashFailed                 = C.ET_ALERT_HASH_FAILED
	AlertPeerBan                    = C.ET_ALERT_PEER_BAN
	AlertPeerUnsnubbed              = C.ET_ALERT_PEER_UNSNUBBED
	AlertPeerSnubbed                = C.ET_ALERT_PEER_SNUBBED
	AlertPeerConnect                = C.ET_ALERT_PEER_CONNECT
	AlertPeerDisconnected           = C.ET_ALERT_PEER_DISCONNECTED
	AlertTorrentFinished            = C.ET_ALERT_TORRENT_FINISHED
	AlertPieceFinished              = C.ET_ALERT_PIECE_FINISHED
	AlertTorrentDeleted             = C.ET_ALERT_TORRENT_DELETED
	AlertTorrentDeleteFailed        = C.ET_ALERT_TORRENT_DELETE_FAILED
	AlertTorrentPaused              = C.ET_ALERT_TORRENT_PAUSED
	AlertTorrentResumed             = C.ET_ALERT_TORRENT_RESUMED
	AlertTorrentChecked             = C.ET_ALERT_TORRENT_CHECKED
	AlertFileError                  = C.ET_ALERT_FILE_ERROR
	AlertMetadataFailed             = C.ET_ALERT_METADATA_FAILED
	AlertMetadataReceived           = C.ET_ALERT_METADATA_RECEIVED
	AlertUdpError                   = C.ET_ALERT_UDP_ERROR
	AlertPeerBlocked                = C.ET_ALERT_PEER_BLOCKED
	AlertExternalIp                 = C.ET_ALERT_EXTERNAL_IP
	AlertListenFailed               = C.ET_ALERT_LISTEN_FAILED
	AlertListenSucceeded            = C.ET_ALERT_LISTEN_SUCCEEDED
	AlertDhtBootstrap               = C.ET_ALERT_DHT_BOOTSTRAP
	AlertTorrentError               = C.ET_ALERT_TORRENT_ERROR
	AlertAddTorrent                 = C.ET_ALERT_ADD_TORRENT
	AlertAlertsDropped              = C.ET_ALERT_ALERTS_DROPPED
	AlertSocks5                     = C.ET_ALERT_SOCKS5
	AlertReaderReady                = C.ET_ALERT_READER_READY
	AlertReaderStalled              = C.ET_ALERT_READER_STALLED
	AlertPrebufferProgress          = C.ET_ALERT_PREBUFFER_PROGRESS
	AlertPieceEvicted               = C.ET_ALERT_PIECE_EVICTED
	AlertMemoryPressure             = C.ET_ALERT_MEMORY_PRESSURE
	ReasonReady                     = C.ET_REASON_READY
	ReasonEndOfFile                 = C.ET_REASON_END_OF_FILE
	ReasonVerifying                 = C.ET_REASON_VERIFYING
	ReasonError                     = C.ET_REASON_ERROR
	ReasonTorrentPaused             = C.ET_REASON_TORRENT_PAUSED
	ReasonSessionPaused             = C.ET_REASON_SESSION_PAUSED
	ReasonCheckingFiles             = C.ET_REASON_CHECKING_FILES
	ReasonUploadMode                = C.ET_REASON_UPLOAD_MODE
	ReasonReaderAsleep              = C.ET_REASON_READER_ASLEEP
	ReasonNoPeers                   = C.ET_REASON_NO_PEERS
	ReasonNoPeerHasIt               = C.ET_REASON_NO_PEER_HAS_IT
	ReasonChoked                    = C.ET_REASON_CHOKED
	ReasonRefused                   = C.ET_REASON_REFUSED
	ReasonSnubbed                   = C.ET_REASON_SNUBBED
	ReasonRequested                 = C.ET_REASON_REQUESTED
	ReasonDownloadLimit             = C.ET_REASON_DOWNLOAD_LIMIT
	ReasonQueued                    = C.ET_REASON_QUEUED
	ReasonMemoryFull                = C.ET_REASON_MEMORY_FULL
	SeekSet                         = C.ET_SEEK_SET
	SeekCur                         = C.ET_SEEK_CUR
	SeekEnd                         = C.ET_SEEK_END
	SettingInt                      = C.ET_SETTING_INT
	SettingBool                     = C.ET_SETTING_BOOL
	SettingStr                      = C.ET_SETTING_STR
	ReaderBackground                = C.ET_READER_BACKGROUND
	ReaderUnverified                = C.ET_READER_UNVERIFIED
)
