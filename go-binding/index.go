package torrent

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"

	"elementum.example/torrent/internal/capi"
)

// StorageIndex names a torrent in its session, from [Session.AddTorrent] on. It is never handed out twice; that of a removed
// torrent, or of another session, gets [ErrInvalidStorageIndex]. Zero is none.
type StorageIndex uint64

// IsValid tells whether it can be a torrent's.
func (i StorageIndex) IsValid() bool { return i != 0 }

func (i StorageIndex) String() string { return strconv.FormatUint(uint64(i), 10) }

// ParseStorageIndex reads what [StorageIndex.String] writes.
func ParseStorageIndex(text string) (StorageIndex, error) {
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number == 0 {
		return 0, invalid("ParseStorageIndex", "%q is no storage index", text)
	}
	return StorageIndex(number), nil
}

// PieceIndex is the number of a piece in its torrent, from 0.
type PieceIndex int32

// IsValid tells whether it can be a piece's.
func (i PieceIndex) IsValid() bool { return i >= 0 }

func (i PieceIndex) String() string { return strconv.Itoa(int(i)) }

// FileIndex is the number of a file in its torrent, from 0.
type FileIndex int32

// IsValid tells whether it can be a file's.
func (i FileIndex) IsValid() bool { return i >= 0 }

func (i FileIndex) String() string { return strconv.Itoa(int(i)) }

// Priority is how much a piece or a file is wanted: 0 (not) to 7.
type Priority uint8

// The priorities with names; those between are as good.
const (
	DontDownload    Priority = capi.PriorityDontDownload
	LowPriority     Priority = capi.PriorityLow
	DefaultPriority Priority = capi.PriorityDefault
	TopPriority     Priority = capi.PriorityTop
)

// IsValid tells whether it is one of the eight.
func (p Priority) IsValid() bool { return p <= TopPriority }

func (p Priority) String() string {
	switch p {
	case DontDownload:
		return "dont_download"
	case LowPriority:
		return "low"
	case DefaultPriority:
		return "default"
	case TopPriority:
		return "top"
	}
	return strconv.Itoa(int(p))
}

// InfoHashes are a torrent's info-hashes: v1 (SHA-1, BEP 3), v2 (SHA-256, BEP 52), or both. The one that is not there is zeros.
type InfoHashes struct {
	V1 [20]byte
	V2 [32]byte
}

// ParseInfoHash reads 40 hexadecimal digits or 32 characters of base32 (v1), or 64 hexadecimal digits (v2).
func ParseInfoHash(text string) (InfoHashes, error) {
	var out capi.InfoHashes
	if err := capi.ParseInfoHashes(text, &out); err != nil {
		return InfoHashes{}, wrap("ParseInfoHash", err)
	}
	return infoHashes(&out), nil
}

// HasV1 tells whether there is a v1 hash.
func (h InfoHashes) HasV1() bool { return h.V1 != [20]byte{} }

// HasV2 tells whether there is a v2 hash.
func (h InfoHashes) HasV2() bool { return h.V2 != [32]byte{} }

// IsZero tells whether there is none.
func (h InfoHashes) IsZero() bool { return h == InfoHashes{} }

// String is the v1 hash in hexadecimal, or the v2 hash where there is no other; empty where there is none.
func (h InfoHashes) String() string {
	switch {
	case h.HasV1():
		return hex.EncodeToString(h.V1[:])
	case h.HasV2():
		return hex.EncodeToString(h.V2[:])
	}
	return ""
}

// Base32 is the v1 hash in base32; empty where there is none.
func (h InfoHashes) Base32() string {
	if !h.HasV1() {
		return ""
	}
	return base32.StdEncoding.EncodeToString(h.V1[:])
}

// Magnet is a magnet link of the hashes (BEP 9), without name and trackers.
func (h InfoHashes) Magnet() string {
	link := "magnet:?"
	if h.HasV1() {
		link += "xt=urn:btih:" + hex.EncodeToString(h.V1[:])
	}
	if h.HasV2() {
		if h.HasV1() {
			link += "&"
		}
		link += "xt=urn:btmh:1220" + hex.EncodeToString(h.V2[:])
	}
	return link
}

func infoHashes(in *capi.InfoHashes) InfoHashes {
	return InfoHashes{V1: in.V1, V2: in.V2}
}

func (h InfoHashes) raw() *capi.InfoHashes {
	out := &capi.InfoHashes{V1: h.V1, V2: h.V2}
	if h.HasV1() {
		out.Has |= capi.InfoHashV1
	}
	if h.HasV2() {
		out.Has |= capi.InfoHashV2
	}
	return out
}

// checkPriorities is for values that go where C takes no more than a byte.
func checkPriorities(op string, values []Priority) ([]uint8, error) {
	out := make([]uint8, len(values))
	for i, value := range values {
		if !value.IsValid() {
			return nil, invalid(op, "priority %d at %d is out of range: 0 to 7", value, i)
		}
		out[i] = uint8(value)
	}
	return out, nil
}

func invalid(op, format string, args ...any) error {
	return &Error{Op: op, Code: ErrInvalidArgument, Message: fmt.Sprintf(format, args...)}
}
