//go:build cgo

package capi

/*
#cgo noescape et_storage_is_lookbehind_available
#cgo nocallback et_storage_is_lookbehind_available
#cgo noescape et_storage_read
#cgo nocallback et_storage_read
#cgo noescape et_storage_stats
#cgo nocallback et_storage_stats
#cgo noescape et_torrent_status
#cgo nocallback et_torrent_status
#include <elementum_torrent.h>
*/
import "C"

import "unsafe"

type (
	errorPtr   = *C.et_error
	sizePtr    = *C.size_t
	sessionPtr = *C.et_session
)

// records, text and array are the three ways in which a torrent's functions give lists.

func (s *Session) records(call func(p sessionPtr, buf unsafe.Pointer, cap C.size_t, length sizePtr, e errorPtr) C.et_status) ([]byte, *Error) {
	if !s.enter() {
		return nil, closed()
	}
	defer s.leave()
	return collectRecords(func(buf unsafe.Pointer, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status {
		return call(s.p, buf, cap, length, e)
	})
}

func array[T any](s *Session, call func(p sessionPtr, buf *T, cap C.size_t, length sizePtr, e errorPtr) C.et_status) ([]T, *Error) {
	if !s.enter() {
		return nil, closed()
	}
	defer s.leave()
	return collect(func(buf *T, cap C.size_t, length *C.size_t, e *C.et_error) C.et_status {
		return call(s.p, buf, cap, length, e)
	})
}

func text(s *Session, call func(p sessionPtr, buf *C.char, cap C.size_t, length sizePtr, e errorPtr) C.et_status) (string, *Error) {
	chars, err := array(s, call)
	return asString(chars), err
}

// simple is a function that takes a torrent and gives nothing.
func (s *Session) simple(index uint64, f func(p sessionPtr, index C.et_storage_index, e errorPtr) C.et_status) *Error {
	return s.call(func(p *C.et_session, e *C.et_error) C.et_status { return f(p, C.et_storage_index(index), e) })
}

// TorrentStatus is et_torrent_status.
func (s *Session) TorrentStatus(index uint64, out *TorrentStatusInfo) *Error {
	if !s.enter() {
		return closed()
	}
	e := newError()
	out.Struct_size = C.sizeof_et_torrent_status_info
	status := C.et_torrent_status(s.p, C.et_storage_index(index), (*C.et_torrent_status_info)(unsafe.Pointer(out)), &e)
	s.leave()
	return failure(status, &e)
}

// TorrentInfo is et_torrent_info.
func (s *Session) TorrentInfo(index uint64, out *MetadataInfo) *Error {
	out.Struct_size = C.sizeof_et_metadata_info
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_info(p, i, (*C.et_metadata_info)(unsafe.Pointer(out)), e)
	})
}

// TorrentName is et_torrent_name.
func (s *Session) TorrentName(index uint64) (string, *Error) {
	return text(s, func(p sessionPtr, buf *C.char, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_name(p, C.et_storage_index(index), buf, cap, length, e)
	})
}

// TorrentSavePath is et_torrent_save_path.
func (s *Session) TorrentSavePath(index uint64) (string, *Error) {
	return text(s, func(p sessionPtr, buf *C.char, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_save_path(p, C.et_storage_index(index), buf, cap, length, e)
	})
}

// TorrentMetainfo is et_torrent_metainfo.
func (s *Session) TorrentMetainfo(index uint64) ([]byte, *Error) {
	return array(s, func(p sessionPtr, buf *byte, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_metainfo(p, C.et_storage_index(index), unsafe.Pointer(buf), cap, length, e)
	})
}

// TorrentError is et_torrent_error: what stopped the torrent, nil where nothing did.
func (s *Session) TorrentError(index uint64) (stopped, err *Error) {
	out := newError()
	err = s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_error(p, i, &out, e)
	})
	if err != nil {
		return nil, err
	}
	return failure(out.status, &out), nil
}

// TorrentHasMetadata is et_torrent_has_metadata.
func (s *Session) TorrentHasMetadata(index uint64) (bool, *Error) {
	var out C.int32_t
	err := s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_has_metadata(p, i, &out, e)
	})
	return out != 0, err
}

// WaitMetadata is et_torrent_wait_metadata. It holds a thread as long as it waits.
func (s *Session) WaitMetadata(index uint64, wait Wait) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_wait_metadata(p, i, C.int64_t(wait), e)
	})
}

// PauseTorrent is et_torrent_pause.
func (s *Session) PauseTorrent(index uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_pause(p, i, 0, e)
	})
}

// ResumeTorrent is et_torrent_resume.
func (s *Session) ResumeTorrent(index uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_resume(p, i, e)
	})
}

// ForceRecheck is et_torrent_force_recheck.
func (s *Session) ForceRecheck(index uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_force_recheck(p, i, e)
	})
}

// ForceReannounce is et_torrent_force_reannounce.
func (s *Session) ForceReannounce(index uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_force_reannounce(p, i, e)
	})
}

// ForceDHTAnnounce is et_torrent_force_dht_announce.
func (s *Session) ForceDHTAnnounce(index uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_force_dht_announce(p, i, e)
	})
}

// SetFlags is et_torrent_set_flags.
func (s *Session) SetFlags(index, flags uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_set_flags(p, i, C.et_torrent_flags(flags), e)
	})
}

// UnsetFlags is et_torrent_unset_flags.
func (s *Session) UnsetFlags(index, flags uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_unset_flags(p, i, C.et_torrent_flags(flags), e)
	})
}

// SetLimits is et_torrent_set_limits.
func (s *Session) SetLimits(index uint64, limits *TorrentLimits) *Error {
	limits.Struct_size = C.sizeof_et_torrent_limits
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_set_limits(p, i, (*C.et_torrent_limits)(unsafe.Pointer(limits)), e)
	})
}

// Files is et_torrent_files: records of FileInfo.
func (s *Session) Files(index uint64) ([]byte, *Error) {
	return s.records(func(p sessionPtr, buf unsafe.Pointer, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_files(p, C.et_storage_index(index), buf, cap, length, e)
	})
}

// Peers is et_torrent_peers: records of PeerInfo.
func (s *Session) Peers(index uint64) ([]byte, *Error) {
	return s.records(func(p sessionPtr, buf unsafe.Pointer, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_peers(p, C.et_storage_index(index), buf, cap, length, e)
	})
}

// Trackers is et_torrent_trackers: records of TrackerInfo.
func (s *Session) Trackers(index uint64) ([]byte, *Error) {
	return s.records(func(p sessionPtr, buf unsafe.Pointer, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_trackers(p, C.et_storage_index(index), buf, cap, length, e)
	})
}

// WebSeeds is et_torrent_web_seeds: records of WebSeedInfo.
func (s *Session) WebSeeds(index uint64) ([]byte, *Error) {
	return s.records(func(p sessionPtr, buf unsafe.Pointer, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_web_seeds(p, C.et_storage_index(index), buf, cap, length, e)
	})
}

// DownloadQueue is et_torrent_download_queue: records of PartialPieceInfo.
func (s *Session) DownloadQueue(index uint64) ([]byte, *Error) {
	return s.records(func(p sessionPtr, buf unsafe.Pointer, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_download_queue(p, C.et_storage_index(index), buf, cap, length, e)
	})
}

// FileProgress is et_torrent_file_progress.
func (s *Session) FileProgress(index uint64) ([]uint64, *Error) {
	return array(s, func(p sessionPtr, buf *uint64, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_file_progress(p, C.et_storage_index(index), (*C.uint64_t)(buf), cap, length, e)
	})
}

// PieceAvailability is et_torrent_piece_availability.
func (s *Session) PieceAvailability(index uint64) ([]uint32, *Error) {
	return array(s, func(p sessionPtr, buf *uint32, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_piece_availability(p, C.et_storage_index(index), (*C.uint32_t)(buf), cap, length, e)
	})
}

// Pieces is et_torrent_pieces: the bits and how many there are.
func (s *Session) Pieces(index uint64) ([]byte, int, *Error) {
	var count C.uint32_t
	bits, err := array(s, func(p sessionPtr, buf *byte, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_pieces(p, C.et_storage_index(index), (*C.uint8_t)(buf), cap, length, &count, e)
	})
	return bits, int(count), err
}

// PiecePriorities is et_torrent_piece_priorities.
func (s *Session) PiecePriorities(index uint64) ([]uint8, *Error) {
	return array(s, func(p sessionPtr, buf *uint8, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_piece_priorities(p, C.et_storage_index(index), (*C.et_priority)(buf), cap, length, e)
	})
}

// FilePriorities is et_torrent_file_priorities.
func (s *Session) FilePriorities(index uint64) ([]uint8, *Error) {
	return array(s, func(p sessionPtr, buf *uint8, cap C.size_t, length sizePtr, e errorPtr) C.et_status {
		return C.et_torrent_file_priorities(p, C.et_storage_index(index), (*C.et_priority)(buf), cap, length, e)
	})
}

// PrioritizePieces is et_torrent_prioritize_pieces.
func (s *Session) PrioritizePieces(index uint64, values []uint8) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_prioritize_pieces(p, i, (*C.et_priority)(unsafe.SliceData(values)), C.size_t(len(values)), e)
	})
}

// PrioritizeFiles is et_torrent_prioritize_files.
func (s *Session) PrioritizeFiles(index uint64, values []uint8) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_prioritize_files(p, i, (*C.et_priority)(unsafe.SliceData(values)), C.size_t(len(values)), e)
	})
}

// SetPiecePriority is et_torrent_set_piece_priority.
func (s *Session) SetPiecePriority(index uint64, piece, priority int32) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_set_piece_priority(p, i, C.et_piece_index(piece), C.int32_t(priority), e)
	})
}

// SetFilePriority is et_torrent_set_file_priority.
func (s *Session) SetFilePriority(index uint64, file, priority int32) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_set_file_priority(p, i, C.et_file_index(file), C.int32_t(priority), e)
	})
}

// SetPieceDeadline is et_torrent_set_piece_deadline.
func (s *Session) SetPieceDeadline(index uint64, piece int32, deadlineMS int64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_set_piece_deadline(p, i, C.et_piece_index(piece), C.int64_t(deadlineMS), e)
	})
}

// ResetPieceDeadline is et_torrent_reset_piece_deadline.
func (s *Session) ResetPieceDeadline(index uint64, piece int32) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_reset_piece_deadline(p, i, C.et_piece_index(piece), e)
	})
}

// ClearPieceDeadlines is et_torrent_clear_piece_deadlines.
func (s *Session) ClearPieceDeadlines(index uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_clear_piece_deadlines(p, i, e)
	})
}

// ConnectPeer is et_torrent_connect_peer.
func (s *Session) ConnectPeer(index uint64, address string) *Error {
	data, length := chars(address)
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_connect_peer(p, i, data, length, e)
	})
}

// BanPeer is et_torrent_ban_peer.
func (s *Session) BanPeer(index uint64, address string) *Error {
	data, length := chars(address)
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_ban_peer(p, i, data, length, e)
	})
}

// AddTracker is et_torrent_add_tracker.
func (s *Session) AddTracker(index uint64, url string, tier int32) *Error {
	data, length := chars(url)
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_add_tracker(p, i, data, length, C.int32_t(tier), e)
	})
}

// ReplaceTrackers is et_torrent_replace_trackers.
func (s *Session) ReplaceTrackers(index uint64, trackers []TrackerEntry) *Error {
	var pin pinner
	defer pin.Unpin()
	entries := make([]C.et_tracker_entry, len(trackers))
	for i, tracker := range trackers {
		entries[i] = C.et_tracker_entry{
			struct_size: C.sizeof_et_tracker_entry,
			url:         pin.str(tracker.URL),
			tier:        C.int32_t(tracker.Tier),
		}
	}
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_torrent_replace_trackers(p, i, unsafe.SliceData(entries), C.size_t(len(entries)), e)
	})
}

// StorageStats is et_storage_stats.
func (s *Session) StorageStats(index uint64, out *StorageStatsInfo) *Error {
	if !s.enter() {
		return closed()
	}
	defer s.leave()
	e := newError()
	out.Struct_size = C.sizeof_et_storage_stats_info
	status := C.et_storage_stats(s.p, C.et_storage_index(index), (*C.et_storage_stats_info)(unsafe.Pointer(out)), &e)
	return failure(status, &e)
}

// SetLookbehind is et_storage_set_lookbehind.
func (s *Session) SetLookbehind(index uint64, pieces []int32) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_storage_set_lookbehind(p, i, (*C.et_piece_index)(unsafe.SliceData(pieces)), C.size_t(len(pieces)), e)
	})
}

// ClearLookbehind is et_storage_clear_lookbehind.
func (s *Session) ClearLookbehind(index uint64) *Error {
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_storage_clear_lookbehind(p, i, e)
	})
}

// IsLookbehindAvailable is et_storage_is_lookbehind_available.
func (s *Session) IsLookbehindAvailable(index uint64, piece int32) (bool, *Error) {
	if !s.enter() {
		return false, closed()
	}
	defer s.leave()
	e := newError()
	var out C.int32_t
	status := C.et_storage_is_lookbehind_available(s.p, C.et_storage_index(index), C.et_piece_index(piece), &out, &e)
	return out != 0, failure(status, &e)
}

// LookbehindStats is et_storage_lookbehind_stats.
func (s *Session) LookbehindStats(index uint64, out *LookbehindInfo) *Error {
	out.Struct_size = C.sizeof_et_lookbehind_info
	return s.simple(index, func(p sessionPtr, i C.et_storage_index, e errorPtr) C.et_status {
		return C.et_storage_lookbehind_stats(p, i, (*C.et_lookbehind_info)(unsafe.Pointer(out)), e)
	})
}

// StorageRead is et_storage_read.
func (s *Session) StorageRead(index uint64, piece int32, offset uint64, into []byte) (int, *Error) {
	if !s.enter() {
		return 0, closed()
	}
	defer s.leave()
	e := newError()
	var n C.size_t
	data, length := bytesOf(into)
	status := C.et_storage_read(s.p, C.et_storage_index(index), C.et_piece_index(piece), C.uint64_t(offset), data, length, &n, &e)
	return int(n), failure(status, &e)
}
