package torrent

import (
	"strconv"
	"strings"

	"elementum.example/torrent/internal/capi"
)

// TorrentFlags say how a torrent behaves.
type TorrentFlags uint64

// The flags of torrents.
const (
	// Only upload.
	FlagUploadMode TorrentFlags = capi.TorrentFlagUploadMode
	// Paused.
	FlagPaused TorrentFlags = capi.TorrentFlagPaused
	// Where the torrent is there already, take nothing in of this source.
	FlagDuplicateIsError TorrentFlags = capi.TorrentFlagDuplicateIsError
	// Fetch in order, not the rarest first.
	FlagSequentialDownload TorrentFlags = capi.TorrentFlagSequentialDownload
	// No DHT.
	FlagDisableDHT TorrentFlags = capi.TorrentFlagDisableDht
	// No peer exchange.
	FlagDisablePEX TorrentFlags = capi.TorrentFlagDisablePex
	// Files that AddTorrentParams.FilePriorities says nothing about have priority 0 on disk too, not 4.
	FlagDefaultDontDownload TorrentFlags = capi.TorrentFlagDefaultDontDownload
)

var torrentFlagNames = []flagName{
	{capi.TorrentFlagUploadMode, "upload_mode"},
	{capi.TorrentFlagPaused, "paused"},
	{capi.TorrentFlagDuplicateIsError, "duplicate_is_error"},
	{capi.TorrentFlagSequentialDownload, "sequential_download"},
	{capi.TorrentFlagDisableDht, "disable_dht"},
	{capi.TorrentFlagDisablePex, "disable_pex"},
	{capi.TorrentFlagDefaultDontDownload, "default_dont_download"},
}

func (f TorrentFlags) String() string { return flagString(uint64(f), torrentFlagNames) }

// IsValid tells whether it has only flags that there are.
func (f TorrentFlags) IsValid() bool { return flagsKnown(uint64(f), torrentFlagNames) }

// RemoveFlags say what goes with a removed torrent.
type RemoveFlags uint32

// The flags of [Session.Remove].
const (
	// Its files.
	RemoveDeleteFiles RemoveFlags = capi.RemoveDeleteFiles
	// Accepted, and without effect: there are no part files.
	RemoveDeletePartfile RemoveFlags = capi.RemoveDeletePartfile
)

var removeFlagNames = []flagName{
	{capi.RemoveDeleteFiles, "delete_files"},
	{capi.RemoveDeletePartfile, "delete_partfile"},
}

func (f RemoveFlags) String() string { return flagString(uint64(f), removeFlagNames) }

// IsValid tells whether it has only flags that there are.
func (f RemoveFlags) IsValid() bool { return flagsKnown(uint64(f), removeFlagNames) }

// PeerFlags say what a peer is doing.
type PeerFlags uint32

// The flags of peers.
const (
	// We want what it has.
	PeerFlagInteresting PeerFlags = capi.PeerInteresting
	// We choke it.
	PeerFlagChoked PeerFlags = capi.PeerChoked
	// It wants what we have.
	PeerFlagRemoteInterested PeerFlags = capi.PeerRemoteInterested
	// It chokes us.
	PeerFlagRemoteChoked PeerFlags = capi.PeerRemoteChoked
	// It speaks the extension protocol (BEP 10).
	PeerFlagSupportsExtensions PeerFlags = capi.PeerSupportsExtensions
	// We dialled it.
	PeerFlagOutgoing PeerFlags = capi.PeerOutgoing
	// It took part in a piece that came in wrong, and has to prove itself.
	PeerFlagOnParole PeerFlags = capi.PeerOnParole
	// It has everything.
	PeerFlagSeed PeerFlags = capi.PeerSeed
	// It is unchoked to try it out.
	PeerFlagOptimisticUnchoke PeerFlags = capi.PeerOptimisticUnchoke
	// It does not send what it was asked for.
	PeerFlagSnubbed PeerFlags = capi.PeerSnubbed
	// It only uploads (BEP 21).
	PeerFlagUploadOnly PeerFlags = capi.PeerUploadOnly
	// By uTP (BEP 29), not TCP.
	PeerFlagUTPSocket PeerFlags = capi.PeerUtpSocket
	// What is sent is encrypted (MSE): this hides the protocol, not who talks to whom.
	PeerFlagRC4Encrypted PeerFlags = capi.PeerRc4Encrypted
	// The handshake was encrypted (MSE), and nothing after it.
	PeerFlagPlaintextEncrypted PeerFlags = capi.PeerPlaintextEncrypted
)

func (f PeerFlags) String() string {
	return flagString(uint64(f), []flagName{
		{capi.PeerInteresting, "interesting"},
		{capi.PeerChoked, "choked"},
		{capi.PeerRemoteInterested, "remote_interested"},
		{capi.PeerRemoteChoked, "remote_choked"},
		{capi.PeerSupportsExtensions, "supports_extensions"},
		{capi.PeerOutgoing, "outgoing"},
		{capi.PeerOnParole, "on_parole"},
		{capi.PeerSeed, "seed"},
		{capi.PeerOptimisticUnchoke, "optimistic_unchoke"},
		{capi.PeerSnubbed, "snubbed"},
		{capi.PeerUploadOnly, "upload_only"},
		{capi.PeerUtpSocket, "utp_socket"},
		{capi.PeerRc4Encrypted, "rc4_encrypted"},
		{capi.PeerPlaintextEncrypted, "plaintext_encrypted"},
	})
}

// PeerSource says how we know of a peer.
type PeerSource uint32

// The sources of peers.
const (
	SourceTracker PeerSource = capi.PeerSourceTracker
	SourceDHT     PeerSource = capi.PeerSourceDht
	SourcePEX     PeerSource = capi.PeerSourcePex
	// Local service discovery, and resume data: not set by this version, which has neither.
	SourceLSD        PeerSource = capi.PeerSourceLsd
	SourceResumeData PeerSource = capi.PeerSourceResumeData
	// It came to us.
	SourceIncoming PeerSource = capi.PeerSourceIncoming
	// Torrent.ConnectPeer, or the magnet.
	SourceManual PeerSource = capi.PeerSourceManual
)

func (s PeerSource) String() string {
	return flagString(uint64(s), []flagName{
		{capi.PeerSourceTracker, "tracker"},
		{capi.PeerSourceDht, "dht"},
		{capi.PeerSourcePex, "pex"},
		{capi.PeerSourceLsd, "lsd"},
		{capi.PeerSourceResumeData, "resume_data"},
		{capi.PeerSourceIncoming, "incoming"},
		{capi.PeerSourceManual, "manual"},
	})
}

// FileFlags say what a file is.
type FileFlags uint32

// The flags of files.
const (
	// Zeros that align the next file; it is neither fetched nor stored (BEP 47).
	FilePad        FileFlags = capi.FilePad
	FileHidden     FileFlags = capi.FileHidden
	FileExecutable FileFlags = capi.FileExecutable
	FileSymlink    FileFlags = capi.FileSymlink
)

func (f FileFlags) String() string {
	return flagString(uint64(f), []flagName{
		{capi.FilePad, "pad"},
		{capi.FileHidden, "hidden"},
		{capi.FileExecutable, "executable"},
		{capi.FileSymlink, "symlink"},
	})
}

// AlertCategories say what alerts are about: libtorrent's categories, and two of ours.
type AlertCategories uint64

// The categories of alerts.
const (
	CategoryError              AlertCategories = capi.AlertCategoryError
	CategoryPeer               AlertCategories = capi.AlertCategoryPeer
	CategoryPortMapping        AlertCategories = capi.AlertCategoryPortMapping
	CategoryStorage            AlertCategories = capi.AlertCategoryStorage
	CategoryTracker            AlertCategories = capi.AlertCategoryTracker
	CategoryConnect            AlertCategories = capi.AlertCategoryConnect
	CategoryStatus             AlertCategories = capi.AlertCategoryStatus
	CategoryIPBlock            AlertCategories = capi.AlertCategoryIpBlock
	CategoryPerformanceWarning AlertCategories = capi.AlertCategoryPerformanceWarning
	CategoryDHT                AlertCategories = capi.AlertCategoryDht
	CategoryFileProgress       AlertCategories = capi.AlertCategoryFileProgress
	CategoryPieceProgress      AlertCategories = capi.AlertCategoryPieceProgress
	// What becomes of readers.
	CategoryReader AlertCategories = capi.AlertCategoryReader
	// What the memory limit does.
	CategoryMemory AlertCategories = capi.AlertCategoryMemory
	// Every category there is or will be.
	CategoryAll AlertCategories = capi.AlertCategoryAll
)

func (c AlertCategories) String() string {
	return flagString(uint64(c), []flagName{
		{capi.AlertCategoryError, "error"},
		{capi.AlertCategoryPeer, "peer"},
		{capi.AlertCategoryPortMapping, "port_mapping"},
		{capi.AlertCategoryStorage, "storage"},
		{capi.AlertCategoryTracker, "tracker"},
		{capi.AlertCategoryConnect, "connect"},
		{capi.AlertCategoryStatus, "status"},
		{capi.AlertCategoryIpBlock, "ip_block"},
		{capi.AlertCategoryPerformanceWarning, "performance_warning"},
		{capi.AlertCategoryDht, "dht"},
		{capi.AlertCategoryFileProgress, "file_progress"},
		{capi.AlertCategoryPieceProgress, "piece_progress"},
		{capi.AlertCategoryReader, "reader"},
		{capi.AlertCategoryMemory, "memory"},
	})
}

type flagName struct {
	bit  uint64
	name string
}

// flagString is the flags' names with bars between them, and what has no name in hexadecimal.
func flagString(flags uint64, names []flagName) string {
	var parts []string
	for _, known := range names {
		if flags&known.bit != 0 {
			parts = append(parts, known.name)
			flags &^= known.bit
		}
	}
	if flags != 0 || len(parts) == 0 {
		parts = append(parts, "0x"+strconv.FormatUint(flags, 16))
	}
	return strings.Join(parts, "|")
}

func flagsKnown(flags uint64, names []flagName) bool {
	for _, known := range names {
		flags &^= known.bit
	}
	return flags == 0
}
