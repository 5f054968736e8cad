// Package capi is the C ABI as Go sees it: one method a function, plain types, no policy. All cgo of the module is here.
//
// Handles are counted (lease.go): a call on one that is closed gets [ErrClosed], and a handle is freed when the last call on it has
// returned. Methods may be called from any goroutine. What C fills in are the structs of types.go, which the header gives.
package capi

import (
	"sync/atomic"
	"unsafe"
)

//go:generate ./generate.sh

// Wait is how long a call may wait: milliseconds, negative for ever.
type Wait = int64

// An Error is what a call that failed told.
type Error struct {
	Status    int32
	OSError   int32
	Operation int32
	Message   string
}

func closed() *Error {
	return &Error{Status: ErrClosed, Message: "closed"}
}

// live counts handles that are not freed; leaked those that only the garbage collector ended.
var live, leaked atomic.Int64

// LiveHandles is how many handles the process holds: sessions, readers, settings.
func LiveHandles() int64 { return live.Load() }

// LeakedHandles is how many were never closed.
func LeakedHandles() int64 { return leaked.Load() }

// AddTorrentParams is et_add_torrent_params in Go's types.
type AddTorrentParams struct {
	Magnet          string
	Torrent         []byte
	SavePath        string
	FilePriorities  []uint8
	PiecePriorities []uint8
	Trackers        []string
	Peers           []string
	Flags           uint64
	Storage         int32
	DownloadLimit   uint32
	UploadLimit     uint32
	MaxConnections  uint32
	MaxUploads      uint32
}

// PortRule is et_port_rule in Go's types.
type PortRule struct {
	First, Last uint16
	Access      uint32
}

// TrackerEntry is et_tracker_entry in Go's types.
type TrackerEntry struct {
	URL  string
	Tier int32
}

// A Buffer is memory for records: aligned as they want it.
type Buffer []uint64

// NewBuffer makes one for so many bytes.
func NewBuffer(bytes int) Buffer { return make(Buffer, (bytes+7)/8) }

// Bytes is the buffer's memory.
func (b Buffer) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b))), len(b)*8)
}

// A Record is one of a buffer's, with its strings. It is aligned to 8 bytes.
type Record []byte

// NextRecord takes the first record off a buffer that records were written to. False at its end.
func NextRecord(buffer []byte) (record Record, rest []byte, ok bool) {
	if len(buffer) < 8 {
		return nil, nil, false
	}
	size := uint64(*(*uint32)(unsafe.Pointer(unsafe.SliceData(buffer))))
	if size < 8 || size%8 != 0 || size > uint64(len(buffer)) {
		return nil, nil, false
	}
	return Record(buffer[:size:size]), buffer[size:], true
}

// View is the struct that a record begins with. Fields that an older library does not give are zero.
func View[T any](record Record) *T {
	var whole T
	if uintptr(len(record)) >= unsafe.Sizeof(whole) {
		return (*T)(unsafe.Pointer(unsafe.SliceData(record)))
	}
	part := new(T)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(part)), unsafe.Sizeof(whole)), record)
	return part
}

// Text is a copy of a string of the record.
func (r Record) Text(text Text) string { return string(r.Span(text)) }

// Span is a part of the record, empty where it does not lie in it.
func (r Record) Span(text Text) []byte {
	end := uint64(text.Offset) + uint64(text.Length)
	if end > uint64(len(r)) {
		return nil
	}
	return r[text.Offset:end]
}

// Counts is what an alerts_dropped record counts, by type.
func (r Record) Counts(alert *AlertsDroppedAlert) []DroppedCount {
	span := r.Span(Text{Offset: alert.Offset, Length: alert.Len * uint32(unsafe.Sizeof(DroppedCount{}))})
	if len(span) == 0 || alert.Offset%4 != 0 {
		return nil
	}
	counts := unsafe.Slice((*DroppedCount)(unsafe.Pointer(unsafe.SliceData(span))), len(span)/int(unsafe.Sizeof(DroppedCount{})))
	return append([]DroppedCount(nil), counts...)
}

// CString is the text of an array of C characters, up to its NUL.
func CString(chars []int8) string {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(chars))), len(chars))
	for i, b := range bytes {
		if b == 0 {
			return string(bytes[:i])
		}
	}
	return string(bytes)
}
